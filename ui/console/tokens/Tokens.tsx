import { Button } from '@mantine/core'
import { useState } from 'react'
import { useList } from '../api/queries'
import type { Token } from '../api/types'
import { useMay } from '../app/rights'
import { useNow } from '../live/now'
import { Act, Delete } from '../parts/Acts'
import { type Column, DataTable } from '../parts/DataTable'
import { Empty } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Screen } from '../parts/Screen'
import { Ago, Until } from '../parts/Time'
import { ScopeText } from '../people/Scope'
import { actorName, moment } from '../text/format'
import { useText } from '../text/language'
import { TokenDialog } from './TokenDialog'

/** What scripts sign in with. */
export default function Tokens() {
  const { t } = useText()
  const list = useList<Token>('tokens')
  const mayWrite = useMay('tokens', 'write')
  const [adding, setAdding] = useState(false)
  const [revoking, setRevoking] = useState<Token>()
  const columns: Column<Token>[] = [
    { head: t('tokens.name'), wide: true, cell: (k) => <b>{k.name}</b> },
    { head: t('security.role'), cell: (k) => t(`role.${k.role}`) },
    { head: t('security.scope'), cell: (k) => <ScopeText scope={k.scope} /> },
    {
      head: t('tokens.scopes'),
      cell: (k) => (k.scopes.includes('*') ? t('tokens.all') : <code>{k.scopes.join(' ')}</code>),
    },
    { head: t('tokens.actor'), cell: (k) => actorName(k.actor) },
    { head: t('tokens.created'), cell: (k) => <Ago at={k.created} /> },
    { head: t('tokens.expires'), cell: (k) => <Expires token={k} /> },
    {
      head: t('action.actions'),
      quiet: true,
      cell: (k) =>
        mayWrite && (
          <div className="acts">
            <Act label={t('tokens.revoke')} of={k.name} onClick={() => setRevoking(k)} />
          </div>
        ),
    },
  ]
  const add = mayWrite && (
    <Button leftSection={<Glyph name="plus" />} onClick={() => setAdding(true)}>
      {t('tokens.add')}
    </Button>
  )
  return (
    <Screen title={t('nav.tokens')} aside={add}>
      <DataTable
        label={t('nav.tokens')}
        columns={columns}
        list={list}
        empty={
          <Empty title={t('tokens.none')}>
            <p>{t('tokens.noneText')}</p>
            {add}
          </Empty>
        }
      />
      {adding && <TokenDialog onClose={() => setAdding(false)} />}
      {revoking && (
        <Delete
          noun="tokens"
          thing={revoking}
          title={t('tokens.revokeTitle', { name: revoking.name })}
          action={t('tokens.revoke')}
          onClose={() => setRevoking(undefined)}
        >
          <p>{t('tokens.revokeText')}</p>
        </Delete>
      )}
    </Screen>
  )
}

function Expires({ token }: { token: Token }) {
  const { t } = useText()
  const now = useNow()
  const at = moment(token.expires)
  if (at === undefined) return t('tokens.never')
  if (at > now) return <Until at={token.expires} />
  return (
    <span className="state" data-tone="warn">
      <Glyph name="warning" size={14} />
      {t('tokens.expired')}
    </span>
  )
}
