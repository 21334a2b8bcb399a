import { useCallback, useSyncExternalStore } from 'react'
import type { Reading, Series } from '../api/types'
import { group } from './group'

/** The newest value of one series, and the one before for counters. */
export interface Latest {
  metric: string
  tags: Record<string, string>
  time: number
  value: number
  /** Increase a second since the reading before; undefined until there are two. */
  rate: number | undefined
}

/** A server's newest values by series. A new object whenever one has changed. */
export type ServerReadings = ReadonlyMap<string, Latest>

const none: ServerReadings = new Map()

function keyOf(r: { metric: string; tags?: Record<string, string> }): string {
  const tags = Object.entries(r.tags ?? {}).filter(([k]) => k !== 'server')
  return [r.metric, ...tags.sort().map(([k, v]) => `${k}=${v}`)].join(' ')
}

/** A counter that fell was reset and counts from zero. */
function rate(before: Latest | undefined, time: number, value: number): number | undefined {
  if (!before || time <= before.time) return before?.rate
  const increase = value >= before.value ? value - before.value : value
  return increase / ((time - before.time) / 1000)
}

/** Merges readings of one server; older ones than those held change nothing. */
export function merge(held: ServerReadings, readings: Reading[]): ServerReadings {
  let next: Map<string, Latest> | undefined
  for (const r of readings) {
    const key = keyOf(r)
    const time = Date.parse(r.time)
    const before = held.get(key)
    if (Number.isNaN(time) || (before && before.time >= time)) continue
    next ??= new Map(held)
    next.set(key, { metric: r.metric, tags: r.tags ?? {}, time, value: r.value, rate: rate(before, time, r.value) })
  }
  return next ?? held
}

/** Gives counters that have been read but once the rates the controller knows of. */
export function seed(held: ServerReadings, rates: Series[]): ServerReadings {
  const next = new Map(held)
  for (const s of rates) {
    const key = keyOf(s)
    const latest = held.get(key)
    const newest = s.points.at(-1)?.[1]
    if (latest && latest.rate === undefined && newest !== undefined) next.set(key, { ...latest, rate: newest })
  }
  return next
}

/** How often those who watch the whole fleet hear of it, in ms. */
const fleetEvery = 500

/** The newest readings of all servers; a component hears only of the server it shows. */
export class ReadingStore {
  #servers = new Map<string, ServerReadings>()
  #listeners = new Map<string, Set<() => void>>()
  #version = 0
  #fleet: ReturnType<typeof setTimeout> | undefined

  /** Counts up after changes; what shows the whole fleet reads it. */
  get version() {
    return this.#version
  }

  get(server: string): ServerReadings {
    return this.#servers.get(server) ?? none
  }

  add(readings: Reading[]): void {
    for (const [server, list] of group(readings, (r) => r.server)) this.#set(server, merge(this.get(server), list))
  }

  addRates(server: string, rates: Series[]): void {
    this.#set(server, seed(this.get(server), rates))
  }

  #set(server: string, next: ServerReadings): void {
    if (next === this.get(server)) return
    this.#servers.set(server, next)
    this.#tell(server)
    this.#fleet ??= setTimeout(() => {
      this.#fleet = undefined
      this.#version++
      this.#tell('')
    }, fleetEvery)
  }

  /** Calls `fn` when a server's readings change; with '' soon after any does. */
  subscribe(server: string, fn: () => void): () => void {
    const set = this.#listeners.get(server) ?? new Set()
    this.#listeners.set(server, set.add(fn))
    return () => set.delete(fn)
  }

  #tell(server: string): void {
    for (const fn of this.#listeners.get(server) ?? []) fn()
  }
}

export const readings = new ReadingStore()

/** One server's newest readings, live. */
export function useReadings(server: string): ServerReadings {
  return useSyncExternalStore(
    useCallback((fn) => readings.subscribe(server, fn), [server]),
    () => readings.get(server),
  )
}

/** Changes whenever any reading does. */
export function useReadingsVersion(): number {
  return useSyncExternalStore(
    useCallback((fn) => readings.subscribe('', fn), []),
    () => readings.version,
  )
}
