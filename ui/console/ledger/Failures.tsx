import type { MailFailure } from '../api/types'
import { type Column, Rows } from '../parts/DataTable'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { Section } from '../parts/Screen'
import { Ago } from '../parts/Time'
import { useText } from '../text/language'
import { useFailures } from './data'

/** Mail of an account that was given up, and the last word of the other side. */
export function Failures({ account }: { account: string }) {
  const { t } = useText()
  const failures = useFailures(account)
  const columns: Column<MailFailure & { id: string }>[] = [
    { head: t('ledger.at'), cell: (f) => <Ago at={f.at} /> },
    { head: t('queue.recipient'), cell: (f) => <b>{f.to}</b> },
    { head: t('queue.sender'), cell: (f) => f.from || t('queue.report') },
    {
      head: t('queue.last'),
      wide: true,
      cell: (f) => (
        <>
          <span className="figures">
            {f.code} {f.status}
          </span>{' '}
          {f.text} {f.host && <small className="dim">{f.host}</small>}
        </>
      ),
    },
  ]
  return (
    <Section title={t('ledger.failures')}>
      {failures.isPending && <Loading rows={3} />}
      {failures.error && <Failure error={failures.error} retry={() => failures.refetch()} />}
      {failures.data && failures.data.items.length === 0 && <Empty title={t('ledger.noFailures')} />}
      {failures.data && failures.data.items.length > 0 && (
        <Rows
          label={t('ledger.failures')}
          columns={columns}
          rows={failures.data.items.map((f) => ({ ...f, id: `${f.message} ${f.to} ${f.at}` }))}
        />
      )}
    </Section>
  )
}
