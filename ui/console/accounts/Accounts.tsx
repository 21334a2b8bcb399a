import { Button } from '@mantine/core'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useState } from 'react'
import { useAll, useList, useServerName } from '../api/queries'
import type { Account, Plan } from '../api/types'
import { useMay } from '../app/rights'
import { Act, Delete } from '../parts/Acts'
import { type Column, DataTable } from '../parts/DataTable'
import { Empty } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Screen } from '../parts/Screen'
import { State } from '../parts/State'
import { useText } from '../text/language'
import { AddAccount } from './AddAccount'
import { Suspend } from './Suspend'

const route = getRouteApi('/accounts')

/** The mailboxes, and the server each lives on. */
export default function Accounts() {
  const { t } = useText()
  const { domain } = route.useSearch()
  const list = useList<Account>('accounts', { domain })
  const mayWrite = useMay('accounts', 'write')
  const maySuspend = useMay('accounts', 'suspend')
  const mayServers = useMay('servers', 'read')
  const plans = useAll<Plan>('plans')
  const serverName = useServerName()
  const [adding, setAdding] = useState(false)
  const [deleting, setDeleting] = useState<Account>()
  const home: Column<Account> = {
    head: t('accounts.server'),
    cell: (a) => (
      <Link to="/servers/$server" params={{ server: serverName(a.server) }}>
        {serverName(a.server)}
      </Link>
    ),
  }
  const columns: Column<Account>[] = [
    {
      head: t('accounts.address'),
      wide: true,
      cell: (a) => (
        <Link to="/accounts/$id" params={{ id: a.id }} className="row-link">
          {a.address}
        </Link>
      ),
    },
    { head: t('accounts.name'), cell: (a) => a.name || <span className="dim">—</span> },
    {
      head: t('tenants.plan'),
      cell: (a) => plans.find((p) => p.id === a.plan)?.name ?? <span className="dim">{t('account.domainPlan')}</span>,
    },
    ...(mayServers ? [home] : []),
    { head: t('accounts.state'), cell: (a) => <State of="account" state={a.state} /> },
    {
      head: t('action.actions'),
      quiet: true,
      cell: (a) => (
        <div className="acts">
          {maySuspend && <Suspend account={a} />}
          {mayWrite && <Act label={t('action.delete')} of={a.address} onClick={() => setDeleting(a)} />}
        </div>
      ),
    },
  ]
  const add = mayWrite && (
    <Button leftSection={<Glyph name="plus" />} onClick={() => setAdding(true)}>
      {t('accounts.add')}
    </Button>
  )
  return (
    <Screen title={t('nav.accounts')} aside={add}>
      {domain && (
        <p className="toolbar">
          {t('accounts.of', { domain })} <Link to="/accounts">{t('accounts.all')}</Link>
        </p>
      )}
      <DataTable
        label={t('nav.accounts')}
        columns={columns}
        list={list}
        empty={<Empty title={t('accounts.none')}>{add}</Empty>}
      />
      {adding && <AddAccount domain={domain} onClose={() => setAdding(false)} />}
      {deleting && (
        <Delete
          noun="accounts"
          thing={deleting}
          title={t('accounts.deleteTitle', { address: deleting.address })}
          onClose={() => setDeleting(undefined)}
        >
          <p>{t('accounts.deleteText')}</p>
        </Delete>
      )}
    </Screen>
  )
}
