import type { LedgerEntry, MailFailures, Queue, QueuedMail, QueueSummary } from '../console/api/types.ts'
import { type Answer, ok } from './answers.ts'
import type { Fleet } from './fleet.ts'

const hour = 3_600_000

/** Mail that waits on the first servers of a fake fleet. */
export function queued(fleet: Fleet, n = 60): QueuedMail[] {
  const servers = fleet.tables.servers.slice(0, 2)
  return Array.from({ length: n }, (_, i) => {
    const server = servers[i % servers.length]
    const slow = i % 3 === 0
    const inbound = i === 7
    const received = Date.now() - (i + 1) * hour
    return {
      id: `${server?.id}.${i}`,
      entry: `entry-${i}`,
      server: server?.name ?? '',
      server_id: server?.id ?? '',
      message: `message-${i}`,
      from: i === 5 ? '' : inbound ? 'stranger@example.net' : `user${(i % 6) + 1}@example.test`,
      destination: slow ? 'slow.example.org' : 'example.org',
      inbound: inbound || undefined,
      hidden: inbound ? 2 : undefined,
      recipients: inbound ? ['user1@example.test'] : [`friend${i}@${slow ? 'slow.example.org' : 'example.org'}`],
      size: 10_240 * (i + 1),
      priority: 0,
      received: new Date(received).toISOString(),
      expires: new Date(received + 120 * hour).toISOString(),
      next: new Date(Date.now() + 0.2 * hour).toISOString(),
      attempts: slow ? 4 : 1,
      state: i === 1 ? 'held' : 'waiting',
      last: slow ? '451 4.7.1 Greylisted, try again later' : undefined,
      last_host: slow ? 'mx.slow.example.org' : undefined,
      last_at: slow ? new Date(Date.now() - hour).toISOString() : undefined,
    }
  })
}

function picked(all: QueuedMail[], q: URLSearchParams): QueuedMail[] {
  const has = (text: string | undefined, part: string | null) => !part || (text ?? '').includes(part)
  return all.filter(
    (m) =>
      has(m.server, q.get('server')) &&
      has(m.destination, q.get('destination')) &&
      has(m.from, q.get('sender')) &&
      has(m.state, q.get('state')) &&
      has(m.last, q.get('last')) &&
      (!['hold', 'release'].includes(q.get('act') ?? '') || !m.inbound) &&
      (!q.get('message') || m.message === q.get('message')),
  )
}

function sumOf(mails: QueuedMail[]) {
  const oldest = mails.map((m) => m.received).sort()[0]
  const bytes = mails.reduce((sum, m) => sum + m.size, 0)
  return { entries: mails.length, recipients: mails.length, bytes, oldest }
}

/** What the fake's queue and ledger answer; undefined for the rest. */
export function ofMail(fleet: Fleet, noun: string, id: string | undefined, q: URLSearchParams): Answer | undefined {
  if (noun === 'ledger') return ok(id === 'failures' ? failures() : ledger(q))
  if (noun !== 'queue') return undefined
  const all = picked(queued(fleet), q)
  if (id === 'summary') {
    const group = (key: 'destination' | 'server') => [...new Set(all.map((m) => m[key]))]
    const summary: QueueSummary = {
      total: sumOf(all),
      servers: group('server').map((server) => ({ server, ...sumOf(all.filter((m) => m.server === server)) })),
      destinations: group('destination').map((name) => {
        const some = all.filter((m) => m.destination === name)
        return { name, ...sumOf(some), active: 0, last: some.find((m) => m.last)?.last }
      }),
      silent: [],
      partial: false,
    }
    return ok(summary)
  }
  const at = Number(q.get('cursor') ?? 0)
  const limit = Number(q.get('limit') ?? 100)
  const next = at + limit < all.length ? String(at + limit) : ''
  return ok({ items: all.slice(at, at + limit), next, silent: [], partial: false } satisfies Queue)
}

const sum = (items: LedgerEntry[], f: 'in' | 'in_bytes' | 'out' | 'out_bytes' | 'failed') =>
  items.reduce((n, e) => n + e[f], 0)

function ledger(q: URLSearchParams) {
  const to = q.get('to') ?? ''
  const day = (n: number) => new Date(Date.parse(to) - n * 24 * hour).toISOString().slice(0, 10)
  const figures = (n: number) => ({
    in: 100 + n,
    in_bytes: n * 2 ** 20,
    out: 40 + n,
    out_bytes: n * 2 ** 18,
    failed: n,
  })
  const by = q.getAll('by')
  const items: LedgerEntry[] = by.includes('account')
    ? [{ address: 'user1@example.test', account: 'a1', ...figures(7) }, { ...figures(2) }]
    : by.includes('domain')
      ? [{ domain: 'example.test', ...figures(9) }]
      : [0, 1, 2].map((n) => ({ day: day(n), ...figures(n) })).reverse()
  const total = {
    in: sum(items, 'in'),
    in_bytes: sum(items, 'in_bytes'),
    out: sum(items, 'out'),
    out_bytes: sum(items, 'out_bytes'),
    failed: sum(items, 'failed'),
  }
  return { from: q.get('from') ?? to, to, items, next: '', total, silent: [], partial: false }
}

/** Mail that was given up. */
const failures = (): MailFailures => ({
  items: [
    {
      at: new Date(Date.now() - hour).toISOString(),
      message: 'message-x',
      address: 'user1@example.test',
      from: 'user1@example.test',
      to: 'nobody@example.org',
      host: 'mx.example.org',
      code: 550,
      status: '5.1.1',
      text: 'No such user here',
    },
  ],
  next: '',
  silent: [],
  partial: false,
})
