import { Button } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useState } from 'react'
import { api, ifMatch } from '../api/client'
import { useList, useReread, useServerName } from '../api/queries'
import type { Account } from '../api/types'
import { useMay } from '../app/rights'
import { Act, Delete } from '../parts/Acts'
import { type Column, DataTable } from '../parts/DataTable'
import { Empty } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Screen } from '../parts/Screen'
import { State } from '../parts/State'
import { useTell } from '../parts/Toasts'
import { useText } from '../text/language'
import { AddAccount } from './AddAccount'

const route = getRouteApi('/accounts')

/** The mailboxes, and the server each lives on. */
export default function Accounts() {
  const { t } = useText()
  const { domain } = route.useSearch()
  const list = useList<Account>('accounts', { domain })
  const mayChange = useMay('accounts', 'write')
  const serverName = useServerName()
  const [adding, setAdding] = useState(false)
  const [deleting, setDeleting] = useState<Account>()
  const columns: Column<Account>[] = [
    { head: t('accounts.address'), wide: true, cell: (a) => <b>{a.address}</b> },
    { head: t('accounts.name'), cell: (a) => a.name || <span className="dim">—</span> },
    {
      head: t('accounts.server'),
      cell: (a) => (
        <Link to="/servers/$server" params={{ server: serverName(a.server) }}>
          {serverName(a.server)}
        </Link>
      ),
    },
    { head: t('accounts.state'), cell: (a) => <State of="account" state={a.state} /> },
    {
      head: t('action.actions'),
      quiet: true,
      cell: (a) =>
        mayChange && (
          <div className="acts">
            <Suspend account={a} />
            <Act label={t('action.delete')} of={a.address} onClick={() => setDeleting(a)} />
          </div>
        ),
    },
  ]
  const add = mayChange && (
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

/** Suspends an account or lets it in again; both can be undone by the same button. */
function Suspend({ account }: { account: Account }) {
  const { t } = useText()
  const tell = useTell()
  const reread = useReread()
  const state = account.state === 'active' ? 'suspended' : 'active'
  const patch = useMutation({
    mutationFn: () => api.change('PATCH', `/accounts/${account.id}`, { body: { state }, headers: ifMatch(account) }),
    onSuccess: () => reread('accounts'),
    onError: tell.failed,
  })
  const label = t(state === 'suspended' ? 'accounts.suspend' : 'accounts.resume')
  return <Act label={label} of={account.address} busy={patch.isPending} onClick={() => patch.mutate()} />
}
