import type { Account, Contact, Meta, NewRule, Role, Rule, Server, Session } from '../console/api/types.ts'
import { seconds } from '../console/text/format.ts'
import { FakeAccess } from './access.ts'
import { type Answer, complain, ok, refuse } from './answers.ts'
import { ofDomain } from './domains.ts'
import { type Fleet, never, type Tables, trusted } from './fleet.ts'
import { ofHolds } from './holds.ts'
import { ofMail } from './queue.ts'
import { rightsOf } from './rights.ts'
import { latest, range, sampled } from './samples.ts'
import { Steering } from './steering.ts'

const newestFirst: (keyof Tables)[] = ['operations', 'alerts', 'sms', 'audit', 'windows']
const editable: (keyof Tables)[] = [
  'rules',
  'contacts',
  'domains',
  'accounts',
  'pools',
  'windows',
  'tenants',
  'plans',
  'people',
  'tokens',
  'releases',
  'groups',
  'dkim-keys',
]

/** The API over a fake fleet: enough of it for the console. */
export class FakeApi {
  fleet: Fleet
  signedIn: boolean
  role: Role
  access: FakeAccess
  #steering: Steering

  constructor(fleet: Fleet, { signedIn = false, role = 'operator' as Role, pause = () => Promise.resolve() } = {}) {
    this.fleet = fleet
    this.signedIn = signedIn
    this.role = role
    this.access = new FakeAccess(fleet)
    this.#steering = new Steering(fleet, pause)
  }

  handle(method: string, address: string, body?: unknown): Answer {
    const url = new URL(address, 'http://fake')
    const [noun = '', id, sub, ...more] = url.pathname.replace('/api/v1/', '').split('/').map(decodeURIComponent)
    if (noun === 'oidc') return ok({ oidc: this.access.provider })
    if (noun === 'session') return this.#session(method, id, body as { user: string; password: string; code?: string })
    if (!this.signedIn) return refuse(401, 'sign in first')
    const answer = this.access.handle(method, noun, id, sub, url.searchParams, body)
    if (answer) return answer
    if (noun === 'domains' && id) {
      const checked = url.searchParams.get('check') === 'true'
      const known = ofDomain(this.fleet, method, [id, sub ?? '', more[0] ?? ''], checked, body)
      if (known) return known
    }
    const held = ofHolds(this.fleet, method, noun, id, sub, url.searchParams)
    if (held) return held
    const mail = method === 'GET' ? ofMail(this.fleet, noun, id, url.searchParams) : undefined
    if (mail) return mail
    if (noun === 'status') return ok(this.#status())
    if (noun === 'samples') return ok({ items: this.#latest(url.searchParams), next: '' })
    if (noun === 'release-keys') return ok({ serial: 1, keys: [trusted] })
    if (noun === 'releases' && method === 'POST') return this.#publish(url.searchParams)
    if (noun === 'audit' && id === 'verify') return ok({ entries: this.fleet.tables.audit.length, intact: true })
    const steered = this.#steering.handle(method, [noun, id ?? '', sub ?? '', ...more], body)
    if (steered) return steered
    if (noun === 'servers' && sub) return this.#ofServer(id ?? '', [sub, ...more], url.searchParams)
    if (noun === 'servers' && method === 'POST') return this.#addServer(body as { name: string; address: string })
    if (noun === 'alerts' && sub === 'acknowledge') return this.#acknowledge(id ?? '')
    if (noun === 'sms' && method === 'POST') {
      const { to, text } = body as { to: string; text: string }
      return /^\+?\d+$/.test(to)
        ? { status: 201, body: this.fleet.text(to, text) }
        : complain('to', `"${to}" is not a phone number`)
    }
    const rows = this.fleet.tables[noun as keyof Tables] as Meta[] | undefined
    if (!rows) return refuse(404, `there is nothing at ${url.pathname}`)
    if (method === 'GET') return id ? this.#one(rows, id) : ok(this.#page(noun as keyof Tables, rows, url.searchParams))
    if (!editable.includes(noun as keyof Tables)) return refuse(405, 'not so')
    return this.#edit(method, noun, rows, id, body)
  }

  #session(method: string, sub: string | undefined, body: { user: string; password: string; code?: string }): Answer {
    if (method === 'POST' && !sub) {
      const refusal = this.access.refuses(body)
      if (refusal) return refusal
      this.signedIn = true
    }
    if (!this.signedIn) return refuse(401, 'sign in first')
    if (sub) return this.access.ofOneself(method, sub, body)
    if (method === 'DELETE') {
      this.signedIn = false
      return { status: 204 }
    }
    return ok(this.#whoAmI())
  }

  #whoAmI(): Session {
    const expires = new Date(Date.now() + 8.64e7).toISOString()
    const scope = ['operator', 'viewer', 'auditor'].includes(this.role) ? ['fleet'] : ['domain:example.test']
    const { must, totp } = this.access
    const rights = must ? ['session:read', 'session:write', 'policy:read'] : rightsOf(this.role)
    return { user: 'admin', role: this.role, scope, rights, totp, must, csrf: 'csrf', expires }
  }

  #status() {
    const count = <T>(list: T[], key: (t: T) => string) => {
      const counts: Record<string, number> = {}
      for (const t of list) counts[key(t)] = (counts[key(t)] ?? 0) + 1
      return counts
    }
    const { servers, alerts } = this.fleet.tables
    return {
      version: '0.1.0',
      started: new Date().toISOString(),
      index: this.fleet.index,
      servers: count(servers, (s) => s.state),
      services: count(
        servers.flatMap((s) => s.services),
        (s) => s.state,
      ),
      alerts: count(
        alerts.filter((a) => a.state === 'firing'),
        (a) => a.severity,
      ),
      problems: [],
    }
  }

  #latest(q: URLSearchParams) {
    const metrics = q.getAll('metric')
    const one = q.get('server')
    const servers = this.fleet.tables.servers.filter((s) => !one || s.name === one || s.id === one)
    return servers.flatMap((s) => latest(s, metrics.length > 0 ? metrics : sampled, Date.now() / 1000 - 3))
  }

  #ofServer(id: string, [what]: string[], q: URLSearchParams): Answer {
    const server = this.fleet.tables.servers.find((s) => s.id === id || s.name === id)
    if (!server) return refuse(404, `there is no server "${id}"`)
    if (what === 'invitation') return { status: 201, body: this.#enrolment(server) }
    const to = Date.now() / 1000
    const from = to - seconds((q.get('from') ?? '-3600s').slice(1))
    return ok(range(server, q.getAll('metric'), from, to, seconds(q.get('step') ?? '') || 15))
  }

  #enrolment(server: Server) {
    const token = 'mfj_7c1e5b0f'
    return {
      server,
      token,
      expires: new Date(Date.now() + 3_600_000).toISOString(),
      command: `mailfleet-agent join --controller https://127.0.0.1:8443 --fingerprint sha256:5f0c… --token ${token}`,
    }
  }

  #addServer(body: { name: string; address: string }): Answer {
    if (!/^[a-z0-9.-]+$/.test(body.name))
      return complain('name', `name "${body.name}" must be lower-case letters, digits, hyphens and dots`)
    const [model] = this.fleet.tables.servers
    if (!model) return refuse(500, 'no model')
    const server: Server = {
      ...model,
      ...this.fleet.meta(),
      ...body,
      state: 'joining',
      services: [],
      last_seen: never,
      certificate_expires: never,
    }
    this.fleet.tables.servers.push(server)
    this.fleet.changed('servers', 'created', server)
    return { status: 201, body: this.#enrolment(server) }
  }

  #publish(q: URLSearchParams): Answer {
    if (q.get('key') !== trusted) return complain('key', 'no key that this controller trusts signed it')
    const made = this.fleet.release(q.get('program') ?? '', q.get('number') ?? '')
    this.fleet.tables.releases.unshift(made)
    this.fleet.changed('releases', 'created', made)
    return { status: 201, body: made }
  }

  #acknowledge(id: string): Answer {
    const alert = this.fleet.tables.alerts.find((a) => a.id === id)
    if (!alert) return refuse(404, 'no such alert')
    alert.acked = new Date().toISOString()
    alert.acked_by = 'operator:admin'
    this.fleet.changed('alerts', 'updated', alert)
    return ok(alert)
  }

  #one(rows: Meta[], id: string): Answer {
    const found = rows.find((r) => r.id === id)
    return found ? ok(found) : refuse(404, `there is no ${id}`)
  }

  #page(noun: keyof Tables, rows: Meta[], q: URLSearchParams) {
    const filtered = rows.filter((r) => {
      const row = r as unknown as Record<string, unknown> & { targets?: { server: string }[] }
      return ['state', 'kind', 'server', 'domain', 'tenant', 'actor', 'action', 'resource', 'target'].every((f) => {
        const wanted = q.get(f)
        return !wanted || row[f] === wanted || (f === 'server' && row.targets?.some((t) => t.server === wanted))
      })
    })
    if (newestFirst.includes(noun)) filtered.sort((a, b) => b.created.localeCompare(a.created))
    const at = Number(q.get('cursor') ?? 0)
    const limit = Number(q.get('limit') ?? 100)
    return { items: filtered.slice(at, at + limit), next: at + limit < filtered.length ? String(at + limit) : '' }
  }

  #edit(method: string, noun: string, rows: Meta[], id: string | undefined, body: unknown): Answer {
    const given = body as Partial<Rule & Contact & Account> & Partial<NewRule>
    if (noun === 'rules' && method !== 'DELETE' && !/^\w+$/.test(given.metric ?? ''))
      return complain('metric', `metric "${given.metric}" is not a metric's name`)
    if (method === 'POST') {
      const thing = { ...this.fleet.meta(), clear: given.value, enabled: true, state: 'active', ...given }
      rows.push(thing)
      this.fleet.changed(noun, 'created', thing)
      return { status: 201, body: thing }
    }
    const thing = rows.find((r) => r.id === id)
    if (!thing) return refuse(404, `there is no ${id}`)
    if (method === 'DELETE') {
      rows.splice(rows.indexOf(thing), 1)
      this.fleet.changed(noun, 'deleted', thing)
      return { status: 204 }
    }
    Object.assign(thing, given)
    this.fleet.changed(noun, 'updated', thing)
    return ok(thing)
  }
}
