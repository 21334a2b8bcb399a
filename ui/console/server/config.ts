import type { NewService, Probe, Service, ServiceConfig } from '../api/types'
import { namesIn } from '../parts/ServerNames'
import { seconds } from '../text/format'

// A service's settings between the API and the form, where everything is text.

const mebi = 2 ** 20

export interface ConfigDraft {
  command: string
  unit: string
  dir: string
  env: string
  user: string
  after: string
  stop_signal: string
  stop_grace: string
  reload_signal: string
  open_files: string
  processes: string
  stack: string
  memory: string
  cpu: string
  probe: Probe['kind'] | ''
  probeTo: string
  probeTLS: boolean
  probeRestart: boolean
  interval: string
  timeout: string
  fails: string
}

/** Lines, without the empty ones at the ends. */
const lines = (text: string) => text.split('\n').map((l) => l.trim())
const some = (text: string) => lines(text).filter(Boolean)
const optional = (text: string) => text.trim() || undefined
const number = (text: string, unit = 1) => (text.trim() === '' ? undefined : Math.round(Number(text) * unit))
const text = (n: number | undefined, unit = 1) => (n ? String(n / unit) : '')
const spell = (d: string | number | undefined) => (d && seconds(d) > 0 ? String(seconds(d)) : '')
const span = (secs: string) => (secs.trim() === '' ? undefined : `${Number(secs)}s`)

/** Where a probe asks: the field depends on its kind. */
function probeTarget(p: Probe | undefined): string {
  if (p?.kind === 'command') return (p.command ?? []).join('\n')
  return (p?.kind === 'http' ? p.url : p?.address) ?? ''
}

export function draftOf(c: ServiceConfig = {}): ConfigDraft {
  return {
    command: (c.command ?? []).join('\n'),
    unit: c.unit ?? '',
    dir: c.dir ?? '',
    env: Object.entries(c.env ?? {})
      .map(([k, v]) => `${k}=${v}`)
      .join('\n'),
    user: c.user ?? '',
    after: (c.after ?? []).join(', '),
    stop_signal: c.stop_signal ?? '',
    stop_grace: spell(c.stop_grace),
    reload_signal: c.reload_signal ?? '',
    open_files: text(c.limits?.open_files),
    processes: text(c.limits?.processes),
    stack: text(c.limits?.stack, mebi),
    memory: text(c.limits?.memory, mebi),
    cpu: text(c.limits?.cpu),
    probe: c.probe?.kind ?? '',
    probeTo: probeTarget(c.probe),
    probeTLS: c.probe?.tls ?? false,
    probeRestart: c.probe?.restart ?? false,
    interval: spell(c.probe?.interval),
    timeout: spell(c.probe?.timeout),
    fails: text(c.probe?.fails),
  }
}

function probeOf(d: ConfigDraft): Probe | undefined {
  if (!d.probe) return undefined
  const to = d.probeTo.trim()
  return {
    kind: d.probe,
    address: d.probe !== 'command' && d.probe !== 'http' && to ? to : undefined,
    url: d.probe === 'http' ? to : undefined,
    command: d.probe === 'command' ? some(to) : undefined,
    tls: (d.probe !== 'command' && d.probe !== 'http' && d.probeTLS) || undefined,
    interval: span(d.interval),
    timeout: span(d.timeout),
    fails: number(d.fails),
    restart: d.probeRestart || undefined,
  }
}

/** The variables of KEY=VALUE lines; a line without = is a name with an empty value. */
function envOf(text: string): Record<string, string> | undefined {
  const pairs = some(text).map((line): [string, string] => {
    const at = line.indexOf('=')
    return at < 0 ? [line, ''] : [line.slice(0, at).trim(), line.slice(at + 1)]
  })
  return pairs.length > 0 ? Object.fromEntries(pairs) : undefined
}

/** The settings of a draft; what the form does not show stays as it was. */
export function configOf(d: ConfigDraft, before: ServiceConfig = {}): ServiceConfig {
  const after = namesIn(d.after)
  const limits = {
    open_files: number(d.open_files),
    processes: number(d.processes),
    stack: number(d.stack, mebi),
    memory: number(d.memory, mebi),
    cpu: d.cpu.trim() === '' ? undefined : Number(d.cpu),
  }
  const command = lines(d.command)
  while (command.at(-1) === '') command.pop()
  return {
    command: command.length > 0 ? command : undefined,
    unit: optional(d.unit),
    dir: optional(d.dir),
    env: envOf(d.env),
    user: optional(d.user),
    after: after.length > 0 ? after : undefined,
    stop_signal: optional(d.stop_signal),
    stop_grace: span(d.stop_grace),
    reload_signal: optional(d.reload_signal),
    limits: Object.values(limits).some((v) => v !== undefined) ? limits : undefined,
    probe: probeOf(d),
    ports: before.ports,
    release: before.release,
    mail: before.mail,
  }
}

/** The settings there are; one that is missing here does not compile. */
const settings: Record<keyof ServiceConfig, true> = {
  command: true,
  unit: true,
  dir: true,
  env: true,
  user: true,
  after: true,
  stop_signal: true,
  stop_grace: true,
  reload_signal: true,
  limits: true,
  probe: true,
  ports: true,
  release: true,
  mail: true,
}

/** The settings among all that is known of a service. */
export function settingsOf(s: Service): ServiceConfig {
  return Object.fromEntries(Object.entries(s).filter(([name]) => name in settings))
}

export function newService(d: ConfigDraft, of: Pick<NewService, 'server' | 'name' | 'kind'>): NewService {
  const config = configOf(d)
  return of.kind === 'unit' ? { ...config, ...of, command: undefined } : { ...config, ...of, unit: undefined }
}
