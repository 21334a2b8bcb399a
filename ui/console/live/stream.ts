import { EventParser, type StreamEvent } from './sse'

/** Whether what is on the screen is kept fresh. */
export type Freshness = 'connecting' | 'live' | 'lost'

/** A stream silent for this long is taken for dead. The controller sends a comment every 15 s. */
const silence = 45_000
const firstWait = 1_000
const longestWait = 15_000

export interface StreamOptions {
  url: string
  /** The event to go on after: the index of what has been read already. */
  after?: number
  onEvent: (e: StreamEvent) => void
  onFreshness: (f: Freshness) => void
  /** The stream has come back without knowing where it was: read everything afresh. */
  onGap: () => void
  /** The controller does not know the session any more. */
  onSignedOut: () => void
}

/**
 * Keeps /events open: resumes after the last event seen, notices a silent
 * connection, waits longer after each failure. It is built on fetch because
 * EventSource gives up on an HTTP error and cannot see keep-alive comments.
 */
export class Stream {
  #o: StreamOptions
  #last = ''
  #wait = firstWait
  #timer: ReturnType<typeof setTimeout> | undefined
  #abort: AbortController | undefined
  #opened = false
  #stopped = false

  constructor(o: StreamOptions) {
    this.#o = o
    this.#last = o.after === undefined ? '' : String(o.after)
  }

  start(): void {
    addEventListener('online', this.#now)
    addEventListener('offline', this.#offline)
    document.addEventListener('visibilitychange', this.#now)
    this.#o.onFreshness('connecting')
    void this.#run()
  }

  stop(): void {
    this.#stopped = true
    removeEventListener('online', this.#now)
    removeEventListener('offline', this.#offline)
    document.removeEventListener('visibilitychange', this.#now)
    clearTimeout(this.#timer)
    this.#abort?.abort()
  }

  /** Ends the waiting for the next attempt. */
  #now = () => {
    if (document.visibilityState === 'hidden' || this.#abort || this.#stopped) return
    clearTimeout(this.#timer)
    void this.#run()
  }

  #offline = () => this.#abort?.abort()

  async #run(): Promise<void> {
    const abort = new AbortController()
    this.#abort = abort
    let watch: ReturnType<typeof setTimeout> | undefined
    const heard = () => {
      clearTimeout(watch)
      watch = setTimeout(() => abort.abort(), silence)
    }
    try {
      heard()
      await this.#read(abort.signal, heard)
    } catch {
      // Whatever ended it, the next attempt will tell.
    } finally {
      clearTimeout(watch)
      abort.abort()
      this.#abort = undefined
    }
    if (this.#stopped) return
    this.#o.onFreshness('lost')
    this.#timer = setTimeout(() => void this.#run(), this.#wait * (0.75 + Math.random() / 2))
    this.#wait = Math.min(this.#wait * 2, longestWait)
  }

  async #read(signal: AbortSignal, heard: () => void): Promise<void> {
    const headers: Record<string, string> = { Accept: 'text/event-stream' }
    if (this.#last) headers['Last-Event-ID'] = this.#last
    const res = await fetch(this.#o.url, { headers, signal, credentials: 'same-origin', cache: 'no-store' })
    if (res.status === 401) this.#o.onSignedOut()
    if (!res.ok || !res.body) return
    if (this.#opened && !this.#last) this.#o.onGap()
    this.#opened = true
    this.#wait = firstWait
    this.#o.onFreshness('live')

    const parser = new EventParser()
    const reader = res.body.pipeThrough(new TextDecoderStream()).getReader()
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return
      heard()
      for (const e of parser.feed(value)) this.#o.onEvent(e)
      if (parser.lastId) this.#last = parser.lastId
    }
  }
}
