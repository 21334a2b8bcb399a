import type {
  Impact,
  MaintenanceWindow,
  NewOperation,
  NewPower,
  NewService,
  Operation,
  Pool,
  Power,
  Server,
  Service,
} from '../console/api/types.ts'
import { type Answer, complain, ok, refuse } from './answers.ts'
import { type Fleet, never } from './fleet.ts'

const destructive = ['queue.delete', 'server.reboot', 'server.shutdown', 'server.powercycle', 'server.remove']
const logLines = Array.from(
  { length: 60 },
  (_, i) =>
    `2026-01-01T00:00:${String(i % 60).padStart(2, '0')}Z level=INFO msg="smtp session" component=smtpd cid=${i}`,
)

/** What steers the fake fleet: operations and what they need. */
export class Steering {
  #fleet: Fleet
  #pause: () => Promise<void>

  constructor(fleet: Fleet, pause: () => Promise<void>) {
    this.#fleet = fleet
    this.#pause = pause
  }

  /** The answer to a request that is about steering; undefined when it is not. */
  handle(method: string, [noun, id, sub, more]: string[], body: unknown): Answer | undefined {
    const change = method !== 'GET'
    if (noun === 'operations' && change) return this.#operations(id ?? '', sub ?? '', body as NewOperation)
    if (noun === 'services') return this.#services(method, id ?? '', sub ?? '', body)
    if (noun === 'servers' && sub === 'power') return this.#power(method, id ?? '', more ?? '', body as NewPower)
    if (noun === 'pools' && sub === 'members') return this.#member(method, id ?? '', more ?? '', body)
    if (noun === 'windows' && sub === 'close') return this.#close(id ?? '')
    if (noun === 'windows' && method === 'POST') return this.#window(body as MaintenanceWindow)
    return undefined
  }

  #server(ref: string): Server | undefined {
    return this.#fleet.tables.servers.find((s) => s.id === ref || s.name === ref)
  }

  #operations(id: string, word: string, body: NewOperation): Answer {
    if (id === 'preview') return ok(this.#impact(body))
    if (id === '') return this.#operate(body)
    const op = this.#fleet.tables.operations.find((o) => o.id === id)
    if (!op) return refuse(404, `there is no operation ${id}`)
    if (word === 'cancel') {
      for (const s of op.steps) if (s.state === 'queued') s.state = 'cancelled'
      op.state = 'cancelled'
      op.ended = new Date().toISOString()
    } else if (op.approval) {
      op.approval = { ...op.approval, by: 'operator:second', at: new Date().toISOString() }
      void this.#fleet.carryOut(op, this.#pause)
    }
    this.#fleet.changed('operations', 'updated', op)
    return ok(op)
  }

  /** Targets that are named, or that terms such as region=hk,service=mailnode cover. */
  #targets(body: NewOperation): Operation['targets'] {
    if (!body.selector)
      return (body.targets ?? []).map((t) => ({ ...t, server: this.#server(t.server)?.id ?? t.server }))
    const terms = new Map(body.selector.split(',').map((t) => t.split('=') as [string, string]))
    const pool = this.#fleet.tables.pools.find((p) => p.name === terms.get('pool'))
    const region = terms.get('region')
    const servers = this.#fleet.tables.servers
      .filter((s) => region === undefined || s.region === region)
      .filter((s) => !pool || pool.members.some((m) => m.server === s.id))
    if (body.kind.startsWith('server.')) return servers.map((s) => ({ server: s.id }))
    const named = terms.get('service') ?? pool?.service
    return servers.flatMap((s) =>
      s.services.filter((v) => !named || v.name === named).map((v) => ({ server: s.id, service: v.name })),
    )
  }

  #impact(body: NewOperation): Impact {
    const targets = this.#targets(body)
    const first = this.#server(targets[0]?.server ?? '')
    const hits = destructive.includes(body.kind)
    const shown = targets.flatMap((t) => {
      const s = this.#server(t.server)
      if (!s) return []
      const service = s.services.find((v) => v.name === t.service)
      return [
        { ...t, server_name: s.name, state: s.state, service_state: service?.state, users: 2, sessions: 5, queued: 0 },
      ]
    })
    return {
      targets: shown,
      users: shown.length * 2,
      sessions: shown.length * 5,
      queued: body.kind.startsWith('queue.') ? 40 : -1,
      unavailable: 0,
      confirm: hits ? (targets.length === 1 ? (first?.name ?? '') : String(targets.length)) : '',
      warnings: [],
      said: [],
      refusals:
        hits && first === this.#fleet.tables.servers[0]
          ? [
              {
                name: 'controller',
                message: `the controller itself runs on ${first?.name}`,
                said: { template: 'the controller itself runs on {1}', params: [first?.name ?? ''] },
              },
            ]
          : [],
      approval: false,
      batches: body.rolling ? Math.ceil(targets.length / (body.rolling.batch ?? 1)) : 1,
      versions: {},
    }
  }

  #operate(body: NewOperation): Answer {
    const impact = this.#impact(body)
    const refused = impact.refusals.find((r) => !body.override?.includes(r.name))
    if (refused) return complain('override', `${refused.message}; to do it all the same send override`)
    if (impact.confirm && body.confirm !== impact.confirm)
      return complain('confirm', `${body.kind} must be confirmed with ${impact.confirm}; nothing was done`)
    const meta = this.#fleet.meta()
    const targets = this.#targets(body)
    const batch = body.rolling?.batch ?? 1
    const op: Operation = {
      ...meta,
      kind: body.kind,
      state: 'queued',
      actor: 'operator:admin',
      reason: body.reason ?? '',
      targets,
      selector: body.selector,
      override: body.override,
      steps: targets.map((target, i) => ({
        id: crypto.randomUUID(),
        target,
        batch: body.rolling ? Math.floor(i / batch) : 0,
        state: 'queued',
        started: never,
        ended: never,
      })),
      rolling: body.rolling && { batch, max_unavailable: batch, health: '5s', drain: false, compensate: true },
      approval: body.approval ? { at: never, expires: new Date(Date.now() + 3_600_000).toISOString() } : undefined,
      expires: new Date(Date.now() + 300_000).toISOString(),
      ended: never,
    }
    this.#fleet.tables.operations.unshift(op)
    this.#fleet.record('operator:admin', 'operation.create', 'operations', op.id)
    this.#fleet.changed('operations', 'created', op)
    if (!op.approval) void this.#fleet.carryOut(op, this.#pause)
    return { status: 202, body: structuredClone(op) }
  }

  #services(method: string, id: string, sub: string, body: unknown): Answer {
    const servers = this.#fleet.tables.servers
    if (method === 'POST') return this.#addService(body as NewService)
    const server = servers.find((s) => s.services.some((v) => v.id === id))
    const service = server?.services.find((v) => v.id === id)
    if (!server || !service) return refuse(404, `there is no service ${id}`)
    if (sub === 'log') return { status: 200, events: logLines.map((line) => ({ event: 'line', data: { line } })) }
    if (sub === 'crash')
      return service.state === 'crashed'
        ? ok({
            time: service.since,
            exit: 'exit status 1',
            said: { template: 'exit status {1}', params: ['1'] },
            restarts: 5,
            lines: ['cannot open its file', 'bye'],
          })
        : refuse(404, `${service.name} has not crashed`)
    if (method === 'DELETE') {
      server.services = server.services.filter((v) => v !== service)
      this.#fleet.changed('services', 'deleted', service)
      return { status: 204 }
    }
    if (method === 'PATCH') {
      Object.assign(service, (body as { config: object }).config, { pending: true })
      this.#fleet.changed('services', 'updated', service)
    }
    return ok(service)
  }

  #addService(body: NewService): Answer {
    const server = this.#server(body.server)
    if (!server) return complain('server', `there is no server "${body.server}"`)
    if (server.services.some((v) => v.name === body.name))
      return complain('name', `${server.name} has a service "${body.name}" already`)
    const service: Service = {
      ...body,
      ...this.#fleet.meta(),
      server: server.id,
      kind: body.kind ?? 'command',
      want: 'running',
      drained: false,
      state: body.name === 'broken' ? 'crashed' : 'running',
      pid: body.name === 'broken' ? 0 : 900,
      restarts: 0,
      since: new Date().toISOString(),
    }
    server.services = [...server.services, service]
    this.#fleet.changed('services', 'created', service)
    return { status: 201, body: service }
  }

  #power(method: string, ref: string, sub: string, body: NewPower): Answer {
    const server = this.#server(ref)
    if (!server) return refuse(404, `there is no server "${ref}"`)
    const { powers } = this.#fleet.tables
    const at = powers.findIndex((p) => p.server === server.id)
    const before = powers[at]
    if (sub === 'test') {
      const via = this.#fleet.tables.servers.find((s) => s !== server)
      return ok({ state: 'on', via: via?.id ?? '', took: '1.2s' })
    }
    if (before) powers.splice(at, 1)
    if (method === 'DELETE') {
      if (before) this.#fleet.changed('powers', 'deleted', before)
      return { status: 204 }
    }
    const { password, ...rest } = body
    const has_secret = password !== undefined || (before?.has_secret ?? false)
    const power: Power = { ...this.#fleet.meta(), ...rest, server: server.id, has_secret, tested: never }
    powers.push(power)
    this.#fleet.changed('powers', 'created', power)
    return ok(power)
  }

  #member(method: string, id: string, ref: string, body: unknown): Answer {
    const pool: Pool | undefined = this.#fleet.tables.pools.find((p) => p.id === id)
    const server = this.#server(ref)
    if (!pool || !server) return refuse(404, 'there is no such pool or server')
    pool.members = pool.members.filter((m) => m.server !== server.id)
    if (method === 'PUT') {
      if (!server.services.some((v) => v.name === pool.service))
        return complain('server', `${server.name} has no service "${pool.service}"`)
      pool.members.push({ server: server.id, weight: (body as { weight?: number }).weight ?? 1 })
    }
    this.#fleet.changed('pools', 'updated', pool)
    return ok(pool)
  }

  #window(body: Partial<MaintenanceWindow>): Answer {
    if (Date.parse(body.to ?? '') <= Date.now())
      return complain('to', 'a window must end after it begins, and after now')
    const window: MaintenanceWindow = {
      ...this.#fleet.meta(),
      actor: 'operator:admin',
      reason: body.reason ?? '',
      from: body.from ?? new Date().toISOString(),
      to: body.to ?? never,
      closed: never,
      servers: (body.servers ?? []).map((s) => this.#server(s)?.id ?? s),
    }
    this.#fleet.tables.windows.unshift(window)
    this.#fleet.changed('windows', 'created', window)
    return { status: 201, body: window }
  }

  #close(id: string): Answer {
    const window = this.#fleet.tables.windows.find((w) => w.id === id)
    if (!window) return refuse(404, 'there is no such window')
    window.closed = new Date().toISOString()
    this.#fleet.changed('windows', 'updated', window)
    return ok(window)
  }
}
