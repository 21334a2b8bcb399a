import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Connect, Plugin } from 'vite'
import { streamed } from './answers.ts'
import { Fleet } from './fleet.ts'
import { FakeApi } from './routes.ts'
import { latest, sampled } from './samples.ts'

/** How often a fake server sends samples, in ms. */
const interval = 5_000
const cookie = 'fake-session=1'

/**
 * Answers /api/v1 from a made-up fleet of FAKE_SERVERS servers (default 3)
 * while one works on the console. The operator is admin, fake-password.
 */
export function fakeController(): Plugin {
  const fleet = new Fleet(Number(process.env.FAKE_SERVERS ?? 3))
  const api = new FakeApi(fleet, { pause: () => new Promise((done) => setTimeout(done, 800)) })
  const install = (middlewares: Connect.Server) => {
    middlewares.use((req, res, next) => {
      if (!req.url?.startsWith('/api/')) return next()
      if (req.url.startsWith('/api/v1/events')) return events(fleet, req, res)
      void answer(api, req, res)
    })
    const ticking = setInterval(() => {
      for (const s of fleet.tables.servers.filter((s) => s.state === 'up'))
        fleet.tell('samples', { server: s.name, readings: latest(s, sampled, Date.now() / 1000) })
    }, interval)
    ticking.unref()
  }
  return {
    name: 'fake-controller',
    configureServer: (server) => install(server.middlewares),
    configurePreviewServer: (server) => {
      server.middlewares.use(policy)
      install(server.middlewares)
    },
  }
}

/** The same policy as the controller's, but without a nonce of its own for each answer. */
function policy(_req: IncomingMessage, res: ServerResponse, next: () => void) {
  const nonce = "'self' 'nonce-__CSP_NONCE__'"
  res.setHeader(
    'Content-Security-Policy',
    `default-src 'none'; script-src ${nonce}; style-src ${nonce}; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  )
  next()
}

function events(fleet: Fleet, req: IncomingMessage, res: ServerResponse) {
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
  res.write(': hello\n\n')
  const stop = fleet.listen((event, data, id) => {
    const mark = event === 'change' ? `id: ${id}\n` : ''
    res.write(`event: ${event}\n${mark}data: ${JSON.stringify(data)}\n\n`)
  })
  req.on('close', stop)
}

async function answer(api: FakeApi, req: IncomingMessage, res: ServerResponse) {
  const pieces: Buffer[] = []
  for await (const piece of req) pieces.push(piece as Buffer)
  const json = req.headers['content-type']?.includes('json')
  const text = json ? Buffer.concat(pieces).toString() : ''
  api.signedIn = req.headers.cookie?.includes(cookie) ?? false
  const { status, body, events } = api.handle(req.method ?? 'GET', req.url ?? '/', text ? JSON.parse(text) : undefined)
  if (events) {
    res.writeHead(status, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
    res.write(streamed(events)) // it stays open, as a log that is followed does
    return
  }
  if (req.url === '/api/v1/session')
    res.setHeader('Set-Cookie', `${cookie}; Path=/${api.signedIn ? '' : '; Max-Age=0'}`)
  res.writeHead(status, { 'Content-Type': status < 400 ? 'application/json' : 'application/problem+json' })
  res.end(body === undefined ? undefined : JSON.stringify(body))
}
