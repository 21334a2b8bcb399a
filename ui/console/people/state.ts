import type { Person } from '../api/types'
import { moment } from '../text/format'

export type PersonState = 'enabled' | 'locked' | 'renew' | 'disabled'

/** Whether a person gets in, and if not, why. */
export function personState(p: Person, now: number): PersonState {
  if (p.disabled) return 'disabled'
  if ((moment(p.locked_till) ?? 0) > now) return 'locked'
  return p.must_change ? 'renew' : 'enabled'
}
