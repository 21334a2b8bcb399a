import type {
  Account,
  Alert,
  AuditEntry,
  Change,
  Contact,
  Domain,
  Meta,
  Operation,
  Person,
  Plan,
  Rule,
  Server,
  SMS,
  Tenant,
  Token,
} from '../console/api/types.ts'
import { peopled } from './access.ts'

// A made-up fleet in memory, for working on the console without a controller
// and for its component tests. What counts is tested against the real one (e2e).

export const never = '0001-01-01T00:00:00Z'
const regions = ['hk', 'bj', 'sh', 'sg']

export interface Tables {
  servers: Server[]
  operations: Operation[]
  rules: Rule[]
  contacts: Contact[]
  alerts: Alert[]
  sms: SMS[]
  audit: AuditEntry[]
  domains: Domain[]
  accounts: Account[]
  tenants: Tenant[]
  plans: Plan[]
  people: Person[]
  tokens: Token[]
}

export class Fleet {
  index = 100
  tables: Tables
  #listeners = new Set<(event: string, data: unknown, id: number) => void>()

  constructor(size = 3) {
    const servers = Array.from({ length: size }, (_, i) => this.#server(i))
    const contact: Contact = { ...this.meta(), name: '值班', phone: '+8613800138000', language: 'zh' }
    const rule: Rule = {
      ...this.meta(),
      name: '内存不足',
      metric: 'mem_used_percent',
      comparison: '>',
      value: 90,
      clear: 85,
      for: '1m0s',
      severity: 'critical',
      enabled: true,
    }
    this.tables = {
      servers,
      operations: [],
      rules: [rule],
      contacts: [contact],
      alerts: servers.slice(0, 2).map((s, i) => this.#alert(rule, s, i === 1)),
      sms: [],
      audit: [],
      domains: [{ ...this.meta(), name: 'example.test', postmaster: 'user1@example.test' }],
      accounts: servers.slice(0, 6).map((s, i) => ({
        ...this.meta(),
        address: `user${i + 1}@example.test`,
        domain: 'example.test',
        name: '',
        server: s.id,
        state: 'active' as const,
      })),
      tenants: [],
      plans: [],
      people: [],
      tokens: [],
    }
    peopled(this)
    this.text(contact.phone, `[严重] ${servers[0]?.name} 内存使用率 93% > 90%`)
    this.record('controller', 'server.join', 'servers', servers[0]?.name ?? '')
  }

  meta(): Meta {
    const now = new Date().toISOString()
    this.index++
    return { id: crypto.randomUUID(), version: this.index, created: now, updated: now }
  }

  #server(i: number): Server {
    const meta = this.meta()
    const region = regions[i % regions.length] ?? 'hk'
    const state = i % 97 === 41 ? 'down' : i % 61 === 37 ? 'suspect' : 'up'
    const since = new Date(Date.now() - 3_600_000 * (i + 1)).toISOString()
    return {
      ...meta,
      name: `mail-${region}-${i + 1}`,
      state,
      since,
      address: `127.0.10.${(i % 250) + 1}`,
      region,
      labels: { role: 'all' },
      boot_id: crypto.randomUUID(),
      agent_version: '0.1.0',
      clock_skew: i === 1 ? 7290 : 0.02,
      certificate_expires: new Date(Date.now() + 60 * 3_600_000).toISOString(),
      applied: 12,
      connected: state === 'up',
      last_seen: new Date().toISOString(),
      witnesses: state === 'up' ? [] : ['link', 'gossip'],
      services: [
        {
          ...this.meta(),
          server: meta.id,
          name: 'mailnode',
          kind: 'mailnode',
          want: 'running',
          drained: false,
          state: state === 'down' ? 'unknown' : 'running',
          pid: 4000 + i,
          restarts: 0,
          since,
        },
      ],
    }
  }

  #alert(rule: Rule, server: Server, taken: boolean): Alert {
    const at = new Date(Date.now() - 240_000).toISOString()
    return {
      ...this.meta(),
      rule: rule.id,
      rule_name: rule.name,
      server: server.id,
      server_name: server.name,
      metric: rule.metric,
      comparison: rule.comparison,
      threshold: rule.value,
      value: 93.4,
      severity: rule.severity,
      state: 'firing',
      since: at,
      fired: at,
      resolved: never,
      acked: taken ? at : never,
      acked_by: taken ? 'operator:admin' : undefined,
    }
  }

  /** Queues a text message. */
  text(to: string, text: string): SMS {
    const ascii = /^[\x20-\x7e]*$/.test(text)
    const sms: SMS = {
      ...this.meta(),
      to,
      text,
      state: 'sent',
      gateway: 'spool',
      encoding: ascii ? 'gsm7' : 'ucs2',
      parts: 1,
      attempts: 1,
      next: never,
      sent: new Date().toISOString(),
    }
    this.tables.sms.unshift(sms)
    this.changed('sms', 'created', sms)
    return sms
  }

  record(actor: string, action: string, resource: string, target: string): void {
    const seq = this.tables.audit.length + 1
    const entry: AuditEntry = {
      ...this.meta(),
      seq,
      actor,
      address: '127.0.0.1',
      action,
      resource,
      target,
      after: JSON.stringify({ target }),
      previous: String(seq - 1).padStart(64, '0'),
      hash: String(seq).padStart(64, '0'),
    }
    this.tables.audit.unshift(entry)
    this.changed('audit', 'created', entry)
  }

  /** Tells everybody who listens that a thing has changed. */
  changed(kind: string, verb: Change['verb'], thing: Meta): void {
    thing.version = ++this.index
    thing.updated = new Date().toISOString()
    const change: Change = { index: this.index, time: thing.updated, kind, verb, id: thing.id }
    if (verb !== 'deleted') change.resource = structuredClone(thing)
    this.tell('change', change)
  }

  tell(event: string, data: unknown): void {
    for (const fn of this.#listeners) fn(event, data, this.index)
  }

  listen(fn: (event: string, data: unknown, id: number) => void): () => void {
    this.#listeners.add(fn)
    return () => this.#listeners.delete(fn)
  }

  /** Carries an operation out, as an agent would. */
  async carryOut(op: Operation, pause: () => Promise<void>): Promise<void> {
    for (const step of op.steps) {
      const service = this.tables.servers
        .find((s) => s.id === step.target.server)
        ?.services.find((s) => s.name === step.target.service)
      const [going, gone] =
        op.kind === 'service.stop' ? (['stopping', 'stopped'] as const) : (['starting', 'running'] as const)
      op.state = step.state = 'running'
      step.started = new Date().toISOString()
      this.changed('operations', 'updated', op)
      for (const state of [going, gone]) {
        if (!service) continue
        await pause()
        service.state = state
        service.since = new Date().toISOString()
        service.pid = state === 'running' ? service.pid + 1 : 0
        this.changed('services', 'updated', service)
      }
      step.state = 'succeeded'
      step.ended = new Date().toISOString()
    }
    op.state = 'succeeded'
    op.ended = new Date().toISOString()
    this.changed('operations', 'updated', op)
  }
}
