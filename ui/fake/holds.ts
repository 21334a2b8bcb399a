import type { Hold } from '../console/api/types.ts'
import { type Answer, ok, refuse } from './answers.ts'
import type { Fleet } from './fleet.ts'

/** Has the first account of a fake fleet held for a burst, and an alert tell of it. */
export function hold(fleet: Fleet): Hold {
  const [account] = fleet.tables.accounts
  const [alert] = fleet.tables.alerts
  if (!account || !alert) throw new Error('the fleet has no account, or no alert')
  const held: Hold = {
    account: account.id,
    address: account.address,
    domain: account.domain,
    state: account.state,
    version: account.version,
    since: new Date(Date.now() - 240_000).toISOString(),
    sent: 412,
    over: '10m0s',
    usual: 20,
    messages: 37,
    recipients: 392,
    bytes: 1_258_291,
  }
  fleet.holds.push(held)
  fleet.tables.alerts.push({
    ...alert,
    ...fleet.meta(),
    rule_name: '发信异常 Mail held',
    metric: 'mailnode_account_burst',
    tags: { account: account.address },
    comparison: '>=',
    threshold: 1,
    value: 412,
    severity: 'critical',
  })
  return held
}

/** What the fake answers about holds; undefined for the rest. */
export function ofHolds(
  fleet: Fleet,
  method: string,
  noun: string,
  id: string | undefined,
  sub: string | undefined,
  q: URLSearchParams,
): Answer | undefined {
  if (noun === 'holds') {
    const of = q.get('account')
    const items = fleet.holds
      .filter((h) => !of || h.account === of || h.address === of)
      .map((h) => {
        const account = fleet.tables.accounts.find((a) => a.id === h.account)
        return { ...h, state: account?.state ?? h.state, version: account?.version ?? h.version }
      })
    return ok({ items, silent: [], partial: false })
  }
  if (noun !== 'accounts' || method !== 'DELETE' || !sub) return undefined
  const held = fleet.holds.find((h) => h.account === id)
  if (!held) return refuse(404, 'its mail is not held')
  const entries = held.messages
  if (sub === 'hold') fleet.holds.splice(fleet.holds.indexOf(held), 1)
  else Object.assign(held, { messages: 0, recipients: 0, bytes: 0 })
  return ok({ entries })
}
