import type { NewRule, Rule } from '../api/types'

/** What to send to have a rule as it is. */
export function request(r: Rule): NewRule {
  const { name, metric, comparison, value, clear, severity, servers, recipients, enabled } = r
  return { name, metric, comparison, value, clear, for: r.for, severity, servers, recipients, enabled }
}
