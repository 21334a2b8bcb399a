import { Button } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { address } from '../api/client'
import type { MailFailure } from '../api/types'
import { type Column, Rows } from '../parts/DataTable'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { Section } from '../parts/Screen'
import { At } from '../parts/Time'
import { useText } from '../text/language'
import { type LedgerOf, useFailures } from './data'

/** Mail of a domain or an account that was given up, and the last word of the other side. */
export function Failures({ of }: { of: LedgerOf }) {
  const { t } = useText()
  const failures = useFailures(of)
  const rows = failures.data?.pages.flatMap((p) => p.items) ?? []
  const columns: Column<MailFailure & { id: string }>[] = [
    { head: t('ledger.at'), cell: (f) => <At at={f.at} /> },
    { head: t('queue.recipient'), cell: (f) => <b>{f.to}</b> },
    { head: t('queue.sender'), cell: (f) => <Sender failure={f} known={of.account} /> },
    {
      head: t('queue.last'),
      wide: true,
      cell: (f) => (
        <span className="failure-text">
          <span className="figures">
            {f.code} {f.status}
          </span>{' '}
          <span lang="en">{f.text}</span> {f.host && <small className="dim">{f.host}</small>}
        </span>
      ),
    },
  ]
  return (
    <Section
      title={t('ledger.failures')}
      aside={
        rows.length > 0 && (
          <Button
            component="a"
            href={address('/ledger/failures.csv', { ...of })}
            download="failures.csv"
            size="xs"
            variant="default"
          >
            {t('audit.csv')}
          </Button>
        )
      }
    >
      {failures.isPending && <Loading rows={3} />}
      {failures.error && <Failure error={failures.error} retry={() => failures.refetch()} />}
      {failures.data && rows.length === 0 && <Empty title={t('ledger.noFailures')} />}
      {rows.length > 0 && (
        <Rows
          label={t('ledger.failures')}
          columns={columns}
          rows={rows.map((f) => ({ ...f, id: `${f.message} ${f.to} ${f.at}` }))}
        />
      )}
      {failures.hasNextPage && (
        <Button
          variant="default"
          size="xs"
          loading={failures.isFetchingNextPage}
          onClick={() => failures.fetchNextPage()}
        >
          {t('action.more')}
        </Button>
      )}
    </Section>
  )
}

/** Who wrote; leads to the account's own figures, unless those are shown. */
function Sender({ failure: f, known }: { failure: MailFailure; known: string | undefined }) {
  const { t } = useText()
  const from = f.from || t('queue.report')
  if (!f.address || f.address === known) return from
  return (
    <Link to="/ledger" search={{ account: f.address }}>
      {from}
    </Link>
  )
}
