import { describe, expect, test, vi } from 'vitest'
import type { Reading } from '../api/types'
import { merge, ReadingStore, seed } from './readings'

const at = (s: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, s)).toISOString()
const reading = (metric: string, s: number, value: number, tags?: Record<string, string>): Reading => ({
  server: 'a',
  metric,
  tags,
  time: at(s),
  value,
})

describe('readings', () => {
  test('the newest wins, whatever order they come in', () => {
    let held = merge(new Map(), [reading('load_load1', 10, 1)])
    held = merge(held, [reading('load_load1', 5, 9)])
    expect(held.get('load_load1')?.value).toBe(1)
  })

  test('nothing new is the same object', () => {
    const held = merge(new Map(), [reading('load_load1', 10, 1)])
    expect(merge(held, [reading('load_load1', 10, 1)])).toBe(held)
  })

  test('series differ by their tags', () => {
    const held = merge(new Map(), [
      reading('disk_used_percent', 1, 10, { mount: '/' }),
      reading('disk_used_percent', 1, 90, { mount: '/var', server: 'a' }),
    ])
    expect([...held.keys()]).toEqual(['disk_used_percent mount=/', 'disk_used_percent mount=/var'])
  })

  test('a counter has a rate from its second reading on; a reset counts from zero', () => {
    let held = merge(new Map(), [reading('net_bytes_recv', 0, 1000)])
    expect(held.get('net_bytes_recv')?.rate).toBeUndefined()
    held = merge(held, [reading('net_bytes_recv', 10, 3000)])
    expect(held.get('net_bytes_recv')?.rate).toBe(200)
    held = merge(held, [reading('net_bytes_recv', 20, 500)])
    expect(held.get('net_bytes_recv')?.rate).toBe(50)
  })

  test('a rate that the controller knows fills in for the first', () => {
    const tags = { interface: 'eth0' }
    const held = merge(new Map(), [reading('net_bytes_recv', 0, 1000, tags)])
    const seeded = seed(held, [{ metric: 'net_bytes_recv', tags: { ...tags, server: 'a' }, points: [[0, 77]] }])
    expect(seeded.get('net_bytes_recv interface=eth0')?.rate).toBe(77)
  })

  test('only those who listen to a server hear of it, and those who watch all soon after', () => {
    vi.useFakeTimers()
    const store = new ReadingStore()
    const heard: string[] = []
    store.subscribe('a', () => heard.push('a'))
    store.subscribe('b', () => heard.push('b'))
    const stop = store.subscribe('', () => heard.push('any'))
    store.add([reading('load_load1', 1, 1)])
    store.add([reading('load_load1', 2, 1)])
    expect(heard).toEqual(['a', 'a'])
    vi.runAllTimers()
    expect(heard).toEqual(['a', 'a', 'any'])
    stop()
    store.add([reading('load_load1', 3, 1)])
    vi.runAllTimers()
    expect(heard).toEqual(['a', 'a', 'any', 'a'])
    vi.useRealTimers()
  })
})
