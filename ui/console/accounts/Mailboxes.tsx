import type { Mailbox } from '../api/types'
import { type Column, Rows } from '../parts/DataTable'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { Section } from '../parts/Screen'
import { useText } from '../text/language'
import { useMailboxes } from './mail'

/** How full the account is, and what each of its mailboxes holds. */
export function Mailboxes({ id }: { id: string }) {
  const { t, format } = useText()
  const held = useMailboxes(id)
  const columns: Column<Mailbox & { id: string }>[] = [
    {
      head: t('account.mailbox'),
      wide: true,
      cell: (m) => (
        <>
          {m.name} {m.use && <small className="dim">{m.use}</small>}
        </>
      ),
    },
    {
      head: t('account.messages'),
      number: true,
      cell: (m) => <span className="figures">{format.number(m.messages)}</span>,
    },
    {
      head: t('account.unseen'),
      number: true,
      cell: (m) => <span className="figures">{format.number(m.unseen)}</span>,
    },
    { head: t('account.size'), number: true, cell: (m) => <span className="figures">{format.bytes(m.bytes)}</span> },
  ]
  return (
    <Section title={t('account.mailboxes')}>
      {held.isPending ? (
        <Loading rows={3} />
      ) : !held.data ? (
        <Failure error={held.error} retry={() => held.refetch()} />
      ) : (
        <>
          <Quota
            label={t('account.used')}
            used={held.data.bytes}
            most={held.data.quota}
            write={(n) => format.bytes(n)}
          />
          {held.data.max_messages > 0 && (
            <Quota
              label={t('account.messages')}
              used={held.data.messages}
              most={held.data.max_messages}
              write={(n) => format.number(n)}
            />
          )}
          {held.data.mailboxes.length > 0 ? (
            <Rows
              label={t('account.mailboxes')}
              columns={columns}
              rows={held.data.mailboxes.map((m) => ({ ...m, id: m.name }))}
            />
          ) : (
            <Empty title={t('account.noMailboxes')} />
          )}
        </>
      )}
    </Section>
  )
}

interface QuotaProps {
  label: string
  used: number
  /** 0: no limit. */
  most: number
  write: (n: number) => string
}

/** How much of a limit is used, in words and as a bar. */
function Quota({ label, used, most, write }: QuotaProps) {
  const { t, format } = useText()
  return (
    <div className="quota">
      <p>
        <span>{label}</span>
        <span className="figures">
          {most > 0
            ? t('account.usedOf', {
                used: write(used),
                most: write(most),
                percent: format.percent((100 * used) / most),
              })
            : t('account.usedFree', { used: write(used) })}
        </span>
      </p>
      {most > 0 && (
        <meter aria-label={label} min={0} max={most} low={most * 0.8} high={most * 0.95} optimum={0} value={used} />
      )}
    </div>
  )
}
