import { memo, useEffect } from 'react'
import type { QueuedMail } from '../api/types'
import { Empty } from '../parts/Feedback'
import { State } from '../parts/State'
import { Ago, Until } from '../parts/Time'
import { useCards, useWindowed } from '../parts/windowed'
import { useText } from '../text/language'
import type { useQueue } from './data'

const rowHeight = 45
const cardHeight = 216

interface QueueListProps {
  list: ReturnType<typeof useQueue>
  /** Something was looked for. */
  filtered: boolean
  onOpen: (m: QueuedMail) => void
}

/** Queued mail, the oldest first; only what is in sight is in the page, and more is asked for at the end. */
export function QueueList({ list, filtered, onOpen }: QueueListProps) {
  const { t } = useText()
  const rows = list.data?.pages.flatMap((p) => p.items) ?? []
  const height = useCards() ? cardHeight : rowHeight
  const { frame, items, before, after } = useWindowed(rows.length, height, (i) => rows[i]?.id ?? i)
  const atEnd = (items.at(-1)?.index ?? 0) >= rows.length - 20
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = list
  useEffect(() => {
    if (atEnd && hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [atEnd, hasNextPage, isFetchingNextPage, fetchNextPage])
  if (rows.length === 0)
    return (
      <Empty title={t(filtered ? 'queue.noneSuch' : 'queue.none')}>{!filtered && <p>{t('queue.noneText')}</p>}</Empty>
    )
  const heads = ['sender', 'recipients', 'state', 'received', 'next', 'attempts', 'last'] as const
  return (
    <div className="table-frame queue-frame" ref={frame}>
      <table className="table queue" aria-label={t('nav.queue')} aria-rowcount={hasNextPage ? -1 : rows.length + 1}>
        <thead>
          <tr aria-rowindex={1}>
            {heads.map((h) => (
              <th key={h} scope="col" data-number={h === 'attempts' || undefined}>
                {t(`queue.${h}`)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {/* biome-ignore-start lint/a11y/noAriaHiddenOnFocusable: a row takes no focus */}
          {before > 0 && <tr className="spacer" style={{ height: before }} aria-hidden="true" />}
          {items.map((item) => {
            const m = rows[item.index]
            return m && <Row key={item.key} mail={m} index={item.index + 2} onOpen={onOpen} />
          })}
          {after > 0 && <tr className="spacer" style={{ height: after }} aria-hidden="true" />}
          {/* biome-ignore-end lint/a11y/noAriaHiddenOnFocusable: a row takes no focus */}
        </tbody>
      </table>
    </div>
  )
}

interface RowProps {
  mail: QueuedMail
  index: number
  onOpen: (m: QueuedMail) => void
}

const Row = memo(function Row({ mail: m, index, onOpen }: RowProps) {
  const { t, format } = useText()
  const [first, ...others] = m.recipients
  return (
    <tr aria-rowindex={index}>
      <th scope="row" data-label="">
        <button type="button" className="link" onClick={() => onOpen(m)}>
          {m.from || t('queue.report')}
        </button>
      </th>
      <td data-label={t('queue.recipients')}>
        <span>
          {first} {others.length > 0 && <small className="dim">{t('queue.others', { count: others.length })}</small>}{' '}
          {m.inbound && <small className="dim">{t('queue.inbound')}</small>}
        </span>
      </td>
      <td data-label={t('queue.state')}>
        <State of="queue" state={m.state as 'held'} />
      </td>
      <td data-label={t('queue.received')}>
        <Ago at={m.received} />
      </td>
      <td data-label={t('queue.next')}>{m.state === 'held' ? '—' : <Until at={m.next} />}</td>
      <td data-label={t('queue.attempts')} data-number>
        <span className="figures">{format.number(m.attempts)}</span>
      </td>
      <td data-label={t('queue.last')}>
        <span className="queue-last" lang={m.last ? 'en' : undefined} title={m.last}>
          {m.last || '—'}
        </span>
      </td>
    </tr>
  )
})
