import type {
  Account,
  Alert,
  AuditEntry,
  Change,
  Contact,
  DKIMKey,
  Domain,
  Group,
  Hold,
  MaintenanceWindow,
  Meta,
  Operation,
  OperationKind,
  Person,
  Plan,
  Pool,
  Power,
  Preflight,
  Release,
  Rule,
  Server,
  SMS,
  Tenant,
  Token,
} from '../console/api/types.ts'
import { peopled } from './access.ts'
import { addressed } from './domains.ts'

// A made-up fleet in memory, for working on the console without a controller
// and for its component tests. What counts is tested against the real one (e2e).

export const never = '0001-01-01T00:00:00Z'
/** The only key whose releases the fake takes. */
export const trusted = 'AAAAC3NzaC1lZDI1NTE5AAAAIJ0fakefakefakefake='
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
  pools: Pool[]
  windows: MaintenanceWindow[]
  powers: Power[]
  preflights: Preflight[]
  releases: Release[]
  groups: Group[]
  'dkim-keys': DKIMKey[]
}

/** What a service is on its way to, and what it becomes, by what is done to it. */
const ways: Partial<Record<OperationKind, readonly ['stopping' | 'starting', 'stopped' | 'running']>> = {
  'service.start': ['starting', 'running'],
  'service.stop': ['stopping', 'stopped'],
  'service.restart': ['starting', 'running'],
  'service.upgrade': ['starting', 'running'],
}

export class Fleet {
  index = 100
  tables: Tables
  holds: Hold[] = []
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
      pools: [this.#pool(servers.slice(0, 2))],
      windows: [],
      powers: servers.slice(0, 1).map((s) => ({
        ...this.meta(),
        server: s.id,
        kind: 'ipmi' as const,
        address: '192.0.2.9',
        user: 'admin',
        has_secret: true,
        tested: never,
      })),
      groups: [],
      'dkim-keys': [],
      releases: [this.release('mailfleet-mailnode', '0.1.0'), this.release('mailfleet-agent', '0.1.0')],
      preflights: servers.slice(0, 2).map((s) => this.preflight(s)),
    }
    for (const s of servers) for (const v of s.services) v.release = this.tables.releases[0]?.id
    peopled(this)
    addressed(this)
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

  #pool(members: Server[]): Pool {
    return {
      ...this.meta(),
      name: 'webmail',
      service: 'mailnode',
      description: '网页邮箱前端',
      members: members.map((s) => ({ server: s.id, weight: 1 })),
      max_unavailable: 1,
      per_region: 0,
    }
  }

  release(program: string, number: string): Release {
    return {
      ...this.meta(),
      program,
      number,
      platform: 'linux/amd64',
      size: 20 * 2 ** 20,
      sha256: 'ab'.repeat(32),
      key: trusted,
      signature: 'c2lnbmF0dXJl',
      actor: 'operator:admin',
    }
  }

  /** What an agent finds on a server that is mostly well. */
  preflight(s: Server): Preflight {
    const fine = ['stack', 'processes', 'clock_sync', 'disk_space', 'dns_resolver']
    return {
      ...this.meta(),
      server: s.id,
      server_name: s.name,
      checked: new Date().toISOString(),
      worst: 'failed',
      checks: [
        ...fine.map((name) => ({ name, state: 'ok' as const, found: '1048576', fixable: false })),
        {
          name: 'open_files',
          state: 'failed',
          found: '1024',
          wanted: 'at least 65536',
          advice: 'raise the limit of open files: every connection and every file of the store takes one',
          fixable: true,
        },
        {
          name: 'dns_reverse',
          state: 'warning',
          found: 'no name',
          wanted: s.name,
          advice: 'ask who gave out the address for a PTR record',
          fixable: false,
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

  /** Carries an operation out, as agents would: batch after batch, until a step fails. */
  async carryOut(op: Operation, pause: () => Promise<void>): Promise<void> {
    for (const step of op.steps) {
      if (step.state !== 'queued') continue
      op.state = step.state = 'running'
      step.started = new Date().toISOString()
      step.log = [{ time: step.started, text: 'the agent has begun' }]
      this.changed('operations', 'updated', op)
      const failed = await this.#act(op, step.target, pause)
      step.state = failed ? 'failed' : 'succeeded'
      step.message = failed
      step.ended = new Date().toISOString()
      if (failed && op.rolling) {
        op.stopped = failed
        for (const s of op.steps) if (s.state === 'queued') s.state = 'cancelled'
      }
    }
    op.state = op.steps.find((s) => s.state === 'failed')?.state ?? 'succeeded'
    op.ended = new Date().toISOString()
    this.changed('operations', 'updated', op)
  }

  /** Does one step; a reason when it fails. A service named "broken" cannot start. */
  async #act(op: Operation, target: Operation['targets'][number], pause: () => Promise<void>) {
    const server = this.tables.servers.find((s) => s.id === target.server)
    const service = server?.services.find((s) => s.name === target.service)
    if (service) {
      if (op.kind === 'service.drain' || op.kind === 'service.undrain') service.drained = op.kind === 'service.drain'
      for (const state of ways[op.kind] ?? []) {
        await pause()
        service.state = service.name === 'broken' && state === 'running' ? 'crashed' : state
        service.since = new Date().toISOString()
        service.pid = state === 'running' ? service.pid + 1 : 0
        this.changed('services', 'updated', service)
      }
      this.changed('services', 'updated', service)
      return service.state === 'crashed' ? `${service.name} ended at once: exit status 1` : undefined
    }
    await pause()
    if (server && op.kind === 'server.preflight') {
      const before = this.tables.preflights.findIndex((p) => p.server === server.id)
      if (before >= 0) this.tables.preflights.splice(before, 1)
      const fresh = this.preflight(server)
      this.tables.preflights.push(fresh)
      this.changed('preflights', 'created', fresh)
    }
    if (server && op.kind === 'server.shutdown') server.state = 'down'
    if (server && op.kind === 'server.remove') server.state = 'removed'
    if (server) this.changed('servers', 'updated', server)
    return undefined
  }
}
