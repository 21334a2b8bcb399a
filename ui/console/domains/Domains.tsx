import { Button } from '@mantine/core'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useState } from 'react'
import { useAll, useList } from '../api/queries'
import type { Domain, Plan, Tenant } from '../api/types'
import { useMay } from '../app/rights'
import { Act, Delete } from '../parts/Acts'
import { type Column, DataTable } from '../parts/DataTable'
import { Empty } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Screen } from '../parts/Screen'
import { Ago } from '../parts/Time'
import { LimitLine } from '../plans/Terms'
import { useText } from '../text/language'
import { DomainDialog } from './DomainDialog'

const route = getRouteApi('/domains')

/** The mail domains the fleet serves, whose they are, and what their accounts may use. */
export default function Domains() {
  const { t } = useText()
  const { tenant } = route.useSearch()
  const list = useList<Domain>('domains', { tenant })
  const tenants = useAll<Tenant>('tenants')
  const mayWrite = useMay('domains', 'write')
  const [editing, setEditing] = useState<Domain | 'new'>()
  const [deleting, setDeleting] = useState<Domain>()
  const columns = useColumns(tenants, setEditing, setDeleting)
  const add = mayWrite && (
    <Button leftSection={<Glyph name="plus" />} onClick={() => setEditing('new')}>
      {t('domains.add')}
    </Button>
  )
  return (
    <Screen title={t('nav.domains')} aside={add}>
      {tenant && (
        <p className="toolbar">
          {t('domains.of', { tenant: tenants.find((x) => x.id === tenant)?.name ?? tenant })}{' '}
          <Link to="/domains">{t('accounts.all')}</Link>
        </p>
      )}
      <DataTable
        label={t('nav.domains')}
        columns={columns}
        list={list}
        empty={<Empty title={t('domains.none')}>{add}</Empty>}
      />
      {editing && (
        <DomainDialog
          domain={editing === 'new' ? undefined : editing}
          tenant={tenant}
          onClose={() => setEditing(undefined)}
        />
      )}
      {deleting && (
        <Delete
          noun="domains"
          thing={deleting}
          title={t('domains.deleteTitle', { name: deleting.name })}
          onClose={() => setDeleting(undefined)}
        >
          <p>{t('domains.deleteText')}</p>
        </Delete>
      )}
    </Screen>
  )
}

function useColumns(tenants: Tenant[], onEdit: (d: Domain) => void, onDelete: (d: Domain) => void): Column<Domain>[] {
  const { t, format } = useText()
  const plans = useAll<Plan>('plans')
  const mayWrite = useMay('domains', 'write')
  const mayChange = useMay('domains', 'change')
  const mayTenants = useMay('tenants', 'read')
  const dash = <span className="dim">—</span>
  return [
    {
      head: t('domains.name'),
      wide: true,
      cell: (d) => (
        <Link to="/domains/$domain" params={{ domain: d.name }} className="row-link">
          {d.name}
        </Link>
      ),
    },
    ...(mayTenants
      ? [{ head: t('domains.tenant'), cell: (d: Domain) => tenants.find((x) => x.id === d.tenant)?.name ?? dash }]
      : []),
    { head: t('tenants.plan'), cell: (d) => plans.find((p) => p.id === d.plan)?.name ?? dash },
    {
      head: t('tenants.maxAccounts'),
      number: true,
      cell: (d) => <span className="figures">{d.max_accounts ? format.number(d.max_accounts) : t('limits.none')}</span>,
    },
    { head: t('domains.limits'), cell: (d) => (d.limits ? <LimitLine of={d.limits} /> : dash) },
    { head: t('domains.postmaster'), cell: (d) => d.postmaster || dash },
    { head: t('domains.created'), cell: (d) => <Ago at={d.created} /> },
    {
      head: t('action.actions'),
      quiet: true,
      cell: (d) => (
        <div className="acts">
          {mayChange && <Act label={t('action.edit')} of={d.name} onClick={() => onEdit(d)} />}
          {mayWrite && <Act label={t('action.delete')} of={d.name} onClick={() => onDelete(d)} />}
        </div>
      ),
    },
  ]
}
