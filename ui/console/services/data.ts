import type { Server, Service, ServiceState, Target } from '../api/types'
import { byName } from '../text/format'

/** The names of all services, our own first. */
export function serviceNames(servers: Server[]): string[] {
  const names = new Map<string, boolean>() // whether it is a mailnode somewhere
  for (const s of servers) for (const v of s.services) names.set(v.name, names.get(v.name) || v.kind === 'mailnode')
  return [...names.keys()].sort((a, b) => Number(names.get(b)) - Number(names.get(a)) || byName(a, b))
}

export interface Filter {
  words: string
  state: ServiceState | undefined
}

/** The servers whose name or region fits, and of them those with a service in the state. */
export function filterServers(servers: Server[], { words, state }: Filter): Server[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean)
  return servers
    .filter((s) => s.state !== 'removed')
    .filter((s) => wanted.every((w) => `${s.name} ${s.region}`.toLowerCase().includes(w)))
    .filter((s) => !state || s.services.some((v) => v.state === state))
    .sort((a, b) => byName(a.name, b.name))
}

export const serviceOn = (s: Server, name: string): Service | undefined => s.services.find((v) => v.name === name)

/** The chosen services, by id, as targets. */
export function targetsOf(servers: Server[], chosen: ReadonlySet<string>): Target[] {
  return servers.flatMap((s) =>
    s.services.filter((v) => chosen.has(v.id)).map((v) => ({ server: s.id, service: v.name })),
  )
}
