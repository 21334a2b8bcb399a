/** One event of a text/event-stream (WHATWG HTML §9.2). */
export interface StreamEvent {
  event: string
  data: string
}

/** Longest event that is kept; a longer one is a broken stream. */
const maxEvent = 16 << 20

/** Cuts a text/event-stream, fed in pieces as they come, into events. */
export class EventParser {
  #rest = ''
  #event = ''
  #data: string[] = []
  #id = ''
  /** Where to resume: the last id that an empty line has sealed, with or without an event. */
  lastId = ''

  /** The events that `piece` completes. */
  feed(piece: string): StreamEvent[] {
    const out: StreamEvent[] = []
    this.#rest += piece
    if (this.#rest.length > maxEvent) throw new Error('event too long')
    for (;;) {
      const m = /\r\n|\n|\r(?!$)/.exec(this.#rest)
      if (!m) return out
      this.#line(this.#rest.slice(0, m.index), out)
      this.#rest = this.#rest.slice(m.index + m[0].length)
    }
  }

  #line(line: string, out: StreamEvent[]): void {
    if (line === '') {
      this.lastId = this.#id
      if (this.#data.length > 0) out.push({ event: this.#event || 'message', data: this.#data.join('\n') })
      this.#event = ''
      this.#data = []
      return
    }
    const colon = line.indexOf(':')
    if (colon === 0) return // a comment keeps the connection alive
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'event') this.#event = value
    else if (field === 'data') this.#data.push(value)
    else if (field === 'id') this.#id = value
  }
}
