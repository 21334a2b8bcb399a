import type { MaintenanceWindow } from '../api/types'
import { moment } from '../text/format'

export type Phase = 'planned' | 'open' | 'over'

/** Where a window stands at a time, in ms. One that an operation opened has no end until it is closed. */
export function phaseOf(w: MaintenanceWindow, looked: number): Phase {
  const now = Math.max(looked, moment(w.updated) ?? 0) // a change is newer than the last look at the clock
  const end = moment(w.closed) ?? moment(w.to)
  if (end !== undefined && end <= now) return 'over'
  return (moment(w.from) ?? 0) > now ? 'planned' : 'open'
}
