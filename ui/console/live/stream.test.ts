// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Freshness, Stream } from './stream'

interface Connection {
  headers: Headers
  write: (text: string) => void
  close: () => void
}

let connections: Connection[]
let refuse: number | 'network' | undefined
let freshness: Freshness[]
let events: string[]
let gaps: number
let signedOut: number
let stream: Stream

beforeEach(() => {
  vi.useFakeTimers()
  connections = []
  refuse = undefined
  freshness = []
  events = []
  gaps = 0
  signedOut = 0
  vi.stubGlobal('fetch', async (_: string, init: RequestInit) => {
    if (refuse === 'network') throw new TypeError('refused')
    if (refuse) return new Response(null, { status: refuse })
    const { readable, writable } = new TransformStream<Uint8Array>()
    const writer = writable.getWriter()
    init.signal?.addEventListener('abort', () => void writer.abort(new Error('aborted')).catch(() => {}))
    connections.push({
      headers: new Headers(init.headers),
      write: (text) => void writer.write(new TextEncoder().encode(text)),
      close: () => void writer.close(),
    })
    return new Response(readable)
  })
})

afterEach(() => {
  stream.stop()
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

function start(after?: number) {
  stream = new Stream({
    url: '/events',
    after,
    onEvent: (e) => events.push(e.data),
    onFreshness: (f) => freshness.push(f),
    onGap: () => gaps++,
    onSignedOut: () => signedOut++,
  })
  stream.start()
  return vi.advanceTimersByTimeAsync(0)
}

describe('the event stream', () => {
  test('begins after what has been read already', async () => {
    await start(41)
    expect(connections[0]?.headers.get('Last-Event-ID')).toBe('41')
    expect(freshness).toEqual(['connecting', 'live'])
  })

  test('resumes after the last event seen and is lost in between', async () => {
    await start(41)
    connections[0]?.write('event: change\nid: 42\ndata: a\n\n')
    await vi.advanceTimersByTimeAsync(0)
    connections[0]?.close()
    await vi.advanceTimersByTimeAsync(0)
    expect(freshness.at(-1)).toBe('lost')
    await vi.advanceTimersByTimeAsync(1_500)
    expect(connections[1]?.headers.get('Last-Event-ID')).toBe('42')
    expect(freshness.at(-1)).toBe('live')
    expect(events).toEqual(['a'])
    expect(gaps).toBe(0)
  })

  test('asks for everything afresh when it cannot know what it missed', async () => {
    await start()
    connections[0]?.close()
    await vi.advanceTimersByTimeAsync(1_500)
    expect(connections).toHaveLength(2)
    expect(gaps).toBe(1)
  })

  test('a silent connection is taken for dead, a comment keeps it alive', async () => {
    await start(1)
    await vi.advanceTimersByTimeAsync(40_000)
    connections[0]?.write(': ping\n\n')
    await vi.advanceTimersByTimeAsync(40_000)
    expect(freshness.at(-1)).toBe('live')
    await vi.advanceTimersByTimeAsync(5_001)
    expect(freshness.at(-1)).toBe('lost')
  })

  test('waits longer after each failure and never gives up', async () => {
    refuse = 'network'
    await start(1)
    await vi.advanceTimersByTimeAsync(120_000)
    expect(freshness.at(-1)).toBe('lost')
    refuse = undefined
    await vi.advanceTimersByTimeAsync(20_000)
    expect(freshness.at(-1)).toBe('live')
  })

  test('tells when the session is over', async () => {
    refuse = 401
    await start(1)
    expect(signedOut).toBe(1)
  })

  test('stops for good', async () => {
    await start(1)
    stream.stop()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(connections).toHaveLength(1)
  })
})
