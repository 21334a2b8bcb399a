import { Button } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { type CSSProperties, useMemo, useState } from 'react'
import { useAll, useList } from '../api/queries'
import type { Domain, Plan, Tenant } from '../api/types'
import { useMay } from '../app/rights'
import { Act, Delete } from '../parts/Acts'
import { type Column, DataTable } from '../parts/DataTable'
import { Empty } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Screen } from '../parts/Screen'
import { useText } from '../text/language'
import { TenantDialog } from './TenantDialog'
import { familyOf, type Placed, treeOf } from './tree'
import './tenants.css'

/** Who domains belong to: resellers, and enterprises below them. */
export default function Tenants() {
  const { t } = useText()
  const list = useList<Tenant>('tenants', {}, 1000)
  const mayWrite = useMay('tenants', 'write')
  const [editing, setEditing] = useState<Tenant | 'new'>()
  const [deleting, setDeleting] = useState<Tenant>()
  const tree = useMemo(() => treeOf(list.data?.pages.flatMap((p) => p.items) ?? []), [list.data])
  const columns: Column<Placed>[] = [
    ...useColumns(tree),
    {
      head: t('action.actions'),
      quiet: true,
      cell: (x) =>
        mayWrite && (
          <div className="acts">
            <Act label={t('action.edit')} of={x.name} onClick={() => setEditing(x)} />
            <Act label={t('action.delete')} of={x.name} onClick={() => setDeleting(x)} />
          </div>
        ),
    },
  ]
  const add = mayWrite && (
    <Button leftSection={<Glyph name="plus" />} onClick={() => setEditing('new')}>
      {t('tenants.add')}
    </Button>
  )
  return (
    <Screen title={t('nav.tenants')} aside={add}>
      <DataTable
        label={t('nav.tenants')}
        columns={columns}
        list={list}
        rows={tree}
        empty={
          <Empty title={t('tenants.none')}>
            <p>{t('tenants.noneText')}</p>
            {add}
          </Empty>
        }
      />
      {editing && (
        <TenantDialog
          tenant={editing === 'new' ? undefined : editing}
          tree={tree}
          onClose={() => setEditing(undefined)}
        />
      )}
      {deleting && (
        <Delete
          noun="tenants"
          thing={deleting}
          title={t('tenants.deleteTitle', { name: deleting.name })}
          onClose={() => setDeleting(undefined)}
        >
          <p>{t('tenants.deleteText')}</p>
        </Delete>
      )}
    </Screen>
  )
}

function useColumns(tree: Placed[]): Column<Placed>[] {
  const { t, format } = useText()
  const domains = useAll<Domain>('domains')
  const plans = useAll<Plan>('plans')
  const most = (n: number) => (n > 0 ? format.number(n) : t('limits.none'))
  const has = (of: Tenant) => {
    const family = familyOf(tree, of.id)
    return domains.filter((d) => d.tenant && family.has(d.tenant)).length
  }
  const dash = <span className="dim">—</span>
  return [
    {
      head: t('tenants.name'),
      wide: true,
      cell: (x) => (
        <span className="tree" style={{ '--depth': x.depth } as CSSProperties}>
          {x.depth > 0 && <Glyph name="below" size={14} />}
          <Link to="/domains" search={{ tenant: x.id }} className="row-link">
            {x.name}
          </Link>
        </span>
      ),
    },
    { head: t('tenants.kind'), cell: (x) => t(`tenantKind.${x.kind}`) },
    { head: t('tenants.plan'), cell: (x) => plans.find((p) => p.id === x.plan)?.name ?? dash },
    {
      head: t('tenants.domains'),
      number: true,
      cell: (x) => (
        <span className="figures">
          {format.number(has(x))} / {most(x.max_domains)}
        </span>
      ),
    },
    {
      head: t('tenants.maxAccounts'),
      number: true,
      cell: (x) => <span className="figures">{most(x.max_accounts)}</span>,
    },
    { head: t('tenants.contact'), cell: (x) => x.contact || dash },
  ]
}
