import type { AccountTerms, MailSignIn } from '../api/types'
import { type Column, Rows } from '../parts/DataTable'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Section } from '../parts/Screen'
import { Ago } from '../parts/Time'
import { useText } from '../text/language'
import { useSignIns } from './mail'

/** The last sign-ins by mail, good and failed. */
export function SignIns({ account }: { account: AccountTerms }) {
  const { t, format } = useText()
  const list = useSignIns(account.id)
  const passwordOf = (s: MailSignIn) =>
    account.app_passwords?.find((p) => p.id === s.credential)?.name ??
    t(s.credential ? 'account.revokedPassword' : 'account.ownPassword')
  const columns: Column<MailSignIn & { id: string }>[] = [
    { head: t('account.last'), cell: (s) => <Ago at={s.last} /> },
    {
      head: t('account.outcome'),
      wide: true,
      cell: (s) => (
        <span className="state" data-tone={s.ok ? 'good' : 'bad'}>
          <Glyph name={s.ok ? 'up' : 'down'} size={14} />
          {s.ok ? t('account.signedIn') : `${t('account.refused')}${s.reason ? `: ${s.reason}` : ''}`}
        </span>
      ),
    },
    { head: t('sessions.kind'), cell: (s) => s.protocol.toUpperCase() },
    { head: t('sessions.address'), cell: (s) => <span className="figures">{s.address}</span> },
    { head: t('account.mechanism'), cell: (s) => s.mechanism },
    { head: t('account.with'), cell: (s) => (s.ok ? passwordOf(s) : <span className="dim">—</span>) },
    { head: t('account.times'), number: true, cell: (s) => <span className="figures">{format.number(s.count)}</span> },
  ]
  return (
    <Section title={t('account.signIns')}>
      {list.isPending ? (
        <Loading rows={3} />
      ) : !list.data ? (
        <Failure error={list.error} retry={() => list.refetch()} />
      ) : list.data.items.length > 0 ? (
        <Rows
          label={t('account.signIns')}
          columns={columns}
          rows={list.data.items.map((s) => ({ ...s, id: JSON.stringify(s) }))}
        />
      ) : (
        <Empty title={t('account.noSignIns')} />
      )}
    </Section>
  )
}
