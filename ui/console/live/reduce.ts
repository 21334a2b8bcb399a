import type { InfiniteData } from '@tanstack/react-query'
import type { Change, Meta, Page, Server, Service } from '../api/types'

// What a change does to what the console holds. Everything here is pure.

/** Puts `fresh` in the place of the same thing, unless what is there is newer. */
function replace<T extends Meta>(items: T[], fresh: T): T[] {
  const at = items.findIndex((i) => i.id === fresh.id)
  const old = items[at]
  if (!old || old.version > fresh.version) return items
  return items.with(at, fresh)
}

function remove<T extends Meta>(items: T[], id: string): T[] {
  return items.some((i) => i.id === id) ? items.filter((i) => i.id !== id) : items
}

/** The result of a change, and whether it can only be known by asking again. */
export interface Reduced<T> {
  data: T
  ask: boolean
}

/** A change of one thing in a paged list. */
export function reducePages<T extends Meta>(
  data: InfiniteData<Page<T>, unknown>,
  change: Change,
): Reduced<InfiniteData<Page<T>, unknown>> {
  if (change.verb === 'created') return { data, ask: true } // the list's filter and order decide
  const fresh = change.resource as T | undefined
  if (change.verb === 'updated' && !fresh) return { data, ask: true }
  let touched = false
  const pages = data.pages.map((page) => {
    const items = fresh && change.verb === 'updated' ? replace(page.items, fresh) : remove(page.items, change.id)
    if (items === page.items) return page
    touched = true
    return { ...page, items }
  })
  return { data: touched ? { ...data, pages } : data, ask: false }
}

/** A change of a server or of a service on one. */
export function reduceServers(servers: Server[], change: Change): Reduced<Server[]> {
  if (change.kind === 'services') return reduceService(servers, change)
  if (change.verb === 'deleted') return { data: remove(servers, change.id), ask: false }
  const fresh = change.resource as Server | undefined
  if (!fresh) return { data: servers, ask: true }
  if (!servers.some((s) => s.id === change.id)) return { data: [...servers, fresh], ask: false }
  return { data: replace(servers, fresh), ask: false }
}

function reduceService(servers: Server[], change: Change): Reduced<Server[]> {
  const fresh = change.resource as Service | undefined
  const at = servers.findIndex((s) => s.id === fresh?.server || s.services.some((v) => v.id === change.id))
  const server = servers[at]
  if (!server) return { data: servers, ask: true }
  if (change.verb !== 'deleted' && !fresh) return { data: servers, ask: true }
  let services: Service[]
  if (change.verb === 'deleted' || !fresh) services = remove(server.services, change.id)
  else if (server.services.some((v) => v.id === fresh.id)) services = replace(server.services, fresh)
  else services = [...server.services, fresh]
  if (services === server.services) return { data: servers, ask: false }
  return { data: servers.with(at, { ...server, services }), ask: false }
}
