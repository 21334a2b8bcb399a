import { QueryClient } from '@tanstack/react-query'
import { createMemoryHistory } from '@tanstack/react-router'
import { render } from '@testing-library/react'
import { vi } from 'vitest'
import type { Role } from '../console/api/types'
import { App } from '../console/app/App'
import { newRouter } from '../console/app/routes'
import { streamed } from './answers'
import { Fleet } from './fleet'
import { FakeApi } from './routes'

interface Options {
  servers?: number
  signedIn?: boolean
  role?: Role
}

/** The event stream as a test holds it. */
export class FakeStream {
  #writers = new Set<ReadableStreamDefaultController<Uint8Array>>()
  #stop: () => void
  /** Whether a new connection is taken. */
  open = true

  constructor(fleet: Fleet) {
    this.#stop = fleet.listen((event, data, id) => {
      const mark = event === 'change' ? `id: ${id}\n` : ''
      const frame = new TextEncoder().encode(`event: ${event}\n${mark}data: ${JSON.stringify(data)}\n\n`)
      for (const w of this.#writers) w.enqueue(frame)
    })
  }

  get connections() {
    return this.#writers.size
  }

  answer(signal: AbortSignal | null | undefined): Response {
    if (!this.open) throw new TypeError('connection refused')
    const writers = this.#writers
    let mine: ReadableStreamDefaultController<Uint8Array>
    const body = new ReadableStream<Uint8Array>({
      start: (c) => {
        mine = c
        writers.add(c)
      },
      cancel: () => void writers.delete(mine),
    })
    signal?.addEventListener('abort', () => writers.delete(mine))
    return new Response(body, { status: 200 })
  }

  /** Cuts all connections and takes no more. */
  cut(): void {
    this.open = false
    for (const w of this.#writers) w.close()
    this.#writers.clear()
  }

  stop(): void {
    this.#stop()
  }
}

/** A stream that says what it has and stays open. */
function following(text: string, signal: AbortSignal | null | undefined): Response {
  const body = new ReadableStream<Uint8Array>({
    start: (c) => {
      c.enqueue(new TextEncoder().encode(text))
      signal?.addEventListener('abort', () => c.close())
    },
  })
  return new Response(body, { status: 200 })
}

/** What a file is sent with, as far as the console uses it. */
function fakeUpload(api: FakeApi) {
  return class {
    status = 0
    responseText = ''
    upload: { onprogress?: (e: { loaded: number }) => void } = {}
    onload?: () => void
    #ask: [method: string, url: string] = ['', '']
    open(...ask: [method: string, url: string]) {
      this.#ask = ask
    }
    setRequestHeader() {}
    getResponseHeader = () => null
    send(file: File) {
      this.upload.onprogress?.({ loaded: file.size })
      const { status, body } = api.handle(...this.#ask)
      this.status = status
      this.responseText = JSON.stringify(body)
      queueMicrotask(() => this.onload?.())
    }
  }
}

/** Shows the console at a path, over a fake fleet. */
export function show(path: string, { servers = 3, signedIn = true, role }: Options = {}) {
  const fleet = new Fleet(servers)
  const api = new FakeApi(fleet, { signedIn, role })
  const stream = new FakeStream(fleet)
  const requests: { method: string; url: string; headers: Headers; body: unknown }[] = []
  vi.stubGlobal('fetch', async (url: string, init: RequestInit = {}) => {
    if (url.startsWith('/api/v1/events')) return stream.answer(init.signal)
    const body = init.body ? JSON.parse(String(init.body)) : undefined
    const method = init.method ?? 'GET'
    requests.push({ method, url, headers: new Headers(init.headers), body })
    const answer = api.handle(method, url, body)
    if (answer.events) return following(streamed(answer.events), init.signal)
    return new Response(answer.body === undefined ? null : JSON.stringify(answer.body), { status: answer.status })
  })
  vi.stubGlobal('XMLHttpRequest', fakeUpload(api))
  const client = new QueryClient({ defaultOptions: { queries: { retry: false, staleTime: 30_000 } } })
  const router = newRouter(createMemoryHistory({ initialEntries: [path] }))
  const view = render(<App client={client} router={router} />)
  return { fleet, api, stream, requests, router, view }
}
