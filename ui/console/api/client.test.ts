import { afterEach, describe, expect, test, vi } from 'vitest'
import { Api, ProblemError } from './client'

function answer(status: number, body?: unknown, headers: Record<string, string> = {}) {
  const fetched = vi.fn(async (_url: string, _init: RequestInit) =>
    status === 0
      ? Promise.reject(new TypeError('refused'))
      : new Response(body === undefined ? null : JSON.stringify(body), { status, headers }),
  )
  vi.stubGlobal('fetch', fetched)
  return fetched
}

const caught = (p: Promise<unknown>) => p.then(() => undefined).catch((e) => e as ProblemError)

afterEach(() => vi.unstubAllGlobals())

describe('the client', () => {
  test('repeats a parameter with several values and leaves out empty ones', async () => {
    const fetched = answer(200, {})
    await new Api().get('/samples', { query: { metric: ['a', 'b'], server: undefined, cursor: '' } })
    expect(fetched.mock.calls[0]?.[0]).toBe('/api/v1/samples?metric=a&metric=b')
  })

  test('sends the CSRF token with changes and only with them', async () => {
    const api = new Api()
    api.csrf = 'token'
    const fetched = answer(200, {})
    await api.get('/servers')
    await api.change('POST', '/servers', { body: {} })
    const sent = fetched.mock.calls.map(([, init]) => new Headers(init.headers).get('X-CSRF-Token'))
    expect(sent).toEqual([null, 'token'])
  })

  test('an answer without a body is undefined', async () => {
    answer(204)
    expect(await new Api().change('DELETE', '/rules/1')).toBeUndefined()
  })

  test('a problem carries its sentence, request id and fields', async () => {
    const errors = [
      { message: 'too big', location: 'body.value' },
      { message: 'there is no contact', location: 'body.recipients[0]' },
      { message: 'odd', location: 'query.x' },
    ]
    answer(422, { detail: 'the request is not valid', request_id: 'r1', code: 'invalid', errors })
    const p = await caught(new Api().change('POST', '/rules', { body: {} }))
    expect(p).toBeInstanceOf(ProblemError)
    expect(p?.message).toBe('the request is not valid')
    expect(p?.requestId).toBe('r1')
    expect(p?.field('value')).toBe('too big')
    expect(p?.field('recipients')).toBe('there is no contact')
    expect(p?.rest(['value', 'recipients'])).toEqual(['query.x: odd'])
  })

  test('an answer that is no problem still has a request id', async () => {
    vi.stubGlobal('fetch', async () => new Response('<html>', { status: 502, headers: { 'X-Request-Id': 'r2' } }))
    const p = await caught(new Api().get('/status'))
    expect(p?.status).toBe(502)
    expect(p?.requestId).toBe('r2')
  })

  test('a controller out of reach has status 0', async () => {
    answer(0)
    expect((await caught(new Api().get('/status')))?.status).toBe(0)
  })

  test('says when the session is over, but not when a sign-in fails', async () => {
    const api = new Api()
    const out = vi.fn()
    api.onSignedOut = out
    answer(401, { detail: 'who are you?' })
    await caught(api.change('POST', '/session', { body: {} }))
    expect(out).not.toHaveBeenCalled()
    await caught(api.get('/servers'))
    expect(out).toHaveBeenCalledOnce()
  })

  test('reads a list to its end', async () => {
    vi.stubGlobal('fetch', async (url: string) => {
      const next = url.includes('cursor') ? '' : 'more'
      return new Response(JSON.stringify({ items: [next], next }))
    })
    expect(await new Api().all('/servers')).toEqual(['more', ''])
  })
})
