import type { Page, Problem, Sentence } from './types'

const base = '/api/v1'

/** The field of the body that a location is in: "recipients" of "body.recipients[0]", "user" of "body.config.user". */
const fieldOf = (location: string) => /^body\.(?:(?:config|params)\.)?(\w+)/.exec(location)?.[1] ?? ''

/** Puts what the controller said into the reader's language. */
type Say = (text: string, said?: Sentence) => string
const english: Say = (text) => text

/** A request the controller refused, or one that never reached it (status 0). */
export class ProblemError extends Error {
  readonly status: number
  readonly requestId: string
  readonly said: Sentence | undefined
  readonly fields: { message: string; said?: Sentence; location: string }[]

  constructor(p: Partial<Problem> & { status: number }) {
    super(p.detail || p.title || `HTTP ${p.status}`)
    this.name = 'ProblemError'
    this.status = p.status
    this.requestId = p.request_id ?? ''
    this.said = p.said
    this.fields = p.errors ?? []
  }

  /** The complaint about one field of the request body ("value", "limits.quota"), if there is one. */
  field(name: string, say = english): string | undefined {
    const found = this.fields.find((f) => f.location === `body.${name}` || fieldOf(f.location) === name)
    return found && say(found.message, found.said)
  }

  /** Complaints about none of the named fields. */
  rest(names: readonly string[], say = english): string[] {
    return this.fields
      .filter((f) => !names.includes(fieldOf(f.location)))
      .map((f) => ({ ...f, message: say(f.message, f.said) }))
      .map((f) => (f.location ? `${f.location}: ${f.message}` : f.message))
  }
}

export type Query = Record<string, string | number | readonly string[] | undefined>

export interface Ask {
  query?: Query
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
}

/** Where a path of the API is, as a link of the page has it. */
export function address(path: string, query: Query = {}): string {
  const q = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === '') continue
    for (const v of Array.isArray(value) ? value : [value]) q.append(key, String(v))
  }
  return base + path + (q.size ? `?${q}` : '')
}

/** The refusal that an answer is, whatever its body. */
export function problemOf(status: number, text: string, requestId: string | null): ProblemError {
  let body: Partial<Problem> = {}
  try {
    body = JSON.parse(text)
  } catch {
    // not the controller's: somebody in between answered
  }
  return new ProblemError({ ...body, status, request_id: body.request_id ?? requestId ?? '' })
}

/** The controller's API, as the signed-in person. */
export class Api {
  /** Goes back with every change; set from the session. */
  csrf = ''
  /** Told when the controller no longer knows the session. */
  onSignedOut: () => void = () => {}

  async send(method: string, path: string, { query, body, headers, signal }: Ask = {}): Promise<Response> {
    const head = new Headers(headers)
    if (body !== undefined) head.set('Content-Type', 'application/json')
    if (method !== 'GET' && this.csrf) head.set('X-CSRF-Token', this.csrf)
    let res: Response
    try {
      res = await fetch(address(path, query), {
        method,
        headers: head,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal,
        credentials: 'same-origin',
      })
    } catch (e) {
      if (signal?.aborted) throw e
      throw new ProblemError({ status: 0 })
    }
    if (res.ok) return res
    const p = problemOf(res.status, await res.text(), res.headers.get('X-Request-Id'))
    if (res.status === 401 && path !== '/session') this.onSignedOut()
    throw p
  }

  async get<T>(path: string, ask?: Ask): Promise<T> {
    return (await this.send('GET', path, ask)).json()
  }

  /** A change. Answers without a body give undefined. */
  async change<T = void>(method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, ask?: Ask): Promise<T> {
    const res = await this.send(method, path, ask)
    const text = await res.text()
    return (text ? JSON.parse(text) : undefined) as T
  }

  /** Every item of a list, page after page. */
  async all<T>(path: string, ask: Ask = {}): Promise<T[]> {
    const items: T[] = []
    for (let cursor: string | undefined; ; ) {
      const page: Page<T> = await this.get(path, { ...ask, query: { limit: 500, ...ask.query, cursor } })
      items.push(...page.items)
      if (!page.next) return items
      cursor = page.next
    }
  }
}

/** The header that makes a change hold only for the version that was seen. */
export const ifMatch = (thing: { version: number }) => ({ 'If-Match': `"${thing.version}"` })

export const api = new Api()
