import type { QueueSummary } from '../api/types'
import { type Column, Rows } from '../parts/DataTable'
import { Section } from '../parts/Screen'
import { Ago, Until } from '../parts/Time'
import { moment } from '../text/format'
import { useText } from '../text/language'

/** More destinations than this unfold. */
const shown = 5

type Sum = QueueSummary['destinations'][number] & { id: string }

interface SummaryProps {
  summary: QueueSummary
  onDestination: (name: string) => void
  onServer: (name: string) => void
}

/** How much waits for whom, and where. */
export function Summary({ summary, onDestination, onServer }: SummaryProps) {
  const { t, format } = useText()
  const columns: Column<Sum>[] = [
    {
      head: t('queue.destination'),
      wide: true,
      cell: (d) => (
        <button type="button" className="link" onClick={() => onDestination(d.name)}>
          {d.name === 'local' ? t('queue.local') : d.name}
        </button>
      ),
    },
    {
      head: t('queue.entries'),
      number: true,
      cell: (d) => <span className="figures">{format.number(d.entries)}</span>,
    },
    {
      head: t('queue.recipients'),
      number: true,
      cell: (d) => <span className="figures">{format.number(d.recipients)}</span>,
    },
    { head: t('queue.size'), number: true, cell: (d) => <span className="figures">{format.bytes(d.bytes)}</span> },
    {
      head: t('queue.oldest'),
      cell: (d) => (
        <span className="nowrap">
          <Ago at={d.oldest ?? ''} />
        </span>
      ),
    },
    {
      head: t('queue.underWay'),
      number: true,
      cell: (d) =>
        moment(d.rests) === undefined ? (
          <span className="figures">{format.number(d.active)}</span>
        ) : (
          <span className="nowrap">
            {t('queue.rests')} <Until at={d.rests ?? ''} />
          </span>
        ),
    },
    {
      head: t('queue.last'),
      wide: true,
      cell: (d) => (d.last ? <span lang="en">{d.last}</span> : <span className="dim">—</span>),
    },
  ]
  const rows = summary.destinations.map((d) => ({ ...d, id: d.name }))
  const label = t('queue.byDestination')
  if (rows.length === 0) return null
  return (
    <Section
      title={label}
      aside={
        summary.servers.length > 1 && (
          <ul className="queue-servers" aria-label={t('queue.byServer')}>
            {summary.servers.map((s) => (
              <li key={s.server}>
                <button type="button" className="link" onClick={() => onServer(s.server)}>
                  {s.server}
                </button>{' '}
                <span className="figures">{format.number(s.entries)}</span>
              </li>
            ))}
          </ul>
        )
      }
    >
      <Rows label={label} columns={columns} rows={rows.slice(0, shown)} />
      {rows.length > shown && (
        <details className="queue-more">
          <summary>{t('operate.more', { count: rows.length - shown })}</summary>
          <Rows label={label} columns={columns} rows={rows.slice(shown)} />
        </details>
      )}
    </Section>
  )
}
