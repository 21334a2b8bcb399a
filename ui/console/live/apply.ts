import type { InfiniteData, QueryClient } from '@tanstack/react-query'
import type { Change, Meta, Page, Server } from '../api/types'
import { reducePages, reduceServers } from './reduce'

/** How long changes are gathered before the screen hears of them, and how often it may ask again, in ms. */
const gather = 100
const askEvery = 1000

/**
 * Brings changes into the query cache. A key begins with the API's noun:
 * ['servers'], [noun, 'list', filter], [noun, 'one', id], [noun, 'all'], [noun, 'terms', id].
 */
export class Applier {
  #client: QueryClient
  #changes: Change[] = []
  #ask = new Set<string>()
  #timers = new Map<'gather' | 'ask', ReturnType<typeof setTimeout>>()

  constructor(client: QueryClient) {
    this.#client = client
  }

  add(change: Change): void {
    this.#changes.push(change)
    this.#later('gather', gather, () => this.#apply())
  }

  stop(): void {
    for (const t of this.#timers.values()) clearTimeout(t)
    this.#timers.clear()
  }

  #later(name: 'gather' | 'ask', ms: number, fn: () => void): void {
    if (this.#timers.has(name)) return
    const run = () => {
      this.#timers.delete(name)
      fn()
    }
    this.#timers.set(name, setTimeout(run, ms))
  }

  #apply(): void {
    const changes = this.#changes
    this.#changes = []
    const held = this.#client.getQueryData<Server[]>(['servers'])
    let servers = held
    for (const change of changes) {
      if (servers && (change.kind === 'servers' || change.kind === 'services')) {
        const r = reduceServers(servers, change)
        servers = r.data
        if (r.ask) this.#ask.add('servers')
      }
      if (change.kind === 'servers' || change.kind === 'services' || change.kind === 'alerts') this.#ask.add('status')
      this.#lists(change)
      this.#one(change)
    }
    if (servers !== held) this.#client.setQueryData(['servers'], servers)
    if (this.#ask.size > 0) this.#later('ask', askEvery, () => this.#askAgain())
  }

  #lists(change: Change): void {
    for (const query of this.#client.getQueryCache().findAll({ queryKey: [change.kind, 'list'] })) {
      const data = query.state.data as InfiniteData<Page<Meta>, unknown> | undefined
      if (!data) continue
      const r = reducePages(data, change)
      if (r.data !== data) this.#client.setQueryData(query.queryKey, r.data)
      const filtered = Object.values(query.queryKey[2] ?? {}).some(Boolean)
      if (r.ask || filtered) this.#ask.add(change.kind)
    }
    // What is made of many, or of more than the thing itself, is asked for again.
    const made = ['all', 'terms'].some((of) =>
      this.#client.getQueryCache().find({ queryKey: [change.kind, of], exact: false }),
    )
    if (made) this.#ask.add(change.kind)
  }

  #one(change: Change): void {
    const key = [change.kind, 'one', change.id]
    const held = this.#client.getQueryData<Meta>(key)
    const fresh = change.resource as Meta | undefined
    if (held && fresh && fresh.version >= held.version) this.#client.setQueryData(key, fresh)
  }

  #askAgain(): void {
    for (const noun of this.#ask) void this.#client.invalidateQueries({ queryKey: [noun] })
    this.#ask.clear()
  }
}
