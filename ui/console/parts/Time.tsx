import type { Timestamp } from '../api/types'
import { useNow } from '../live/now'
import { moment } from '../text/format'
import { useText } from '../text/language'

/** How long ago; the exact time on hover and to machines. */
export function Ago({ at }: { at: Timestamp | number }) {
  const { format } = useText()
  const now = useNow()
  const ms = typeof at === 'number' ? at : moment(at)
  if (ms === undefined) return <span className="dim">—</span>
  return (
    <time dateTime={new Date(ms).toISOString()} title={format.time(ms)}>
      {format.ago(ms, Math.max(now, ms))}
    </time>
  )
}

/** A date and time. */
export function At({ at }: { at: Timestamp }) {
  const { format } = useText()
  const ms = moment(at)
  if (ms === undefined) return <span className="dim">—</span>
  return (
    <time dateTime={at} className="figures nowrap">
      {format.time(ms)}
    </time>
  )
}

/** What is ahead: "in 2 days". */
export function Until({ at }: { at: Timestamp }) {
  const { format } = useText()
  const now = useNow()
  const ms = moment(at)
  if (ms === undefined) return <span className="dim">—</span>
  return (
    <time dateTime={at} title={format.time(ms)}>
      {format.ago(ms, now)}
    </time>
  )
}
