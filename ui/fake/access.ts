import type { AppPassword, LiveSession, Person, Policy, Token } from '../console/api/types.ts'
import { type Answer, complain, ok, refuse } from './answers.ts'
import { type Fleet, never } from './fleet.ts'

/** The password of the one operator, admin. */
export const password = 'fake-password'

/** The only code that a second factor of the fake takes. */
export const code = '123456'

/** Fills a fleet with those who may sign in and those whose domains it has. */
export function peopled(fleet: Fleet): void {
  const { tables } = fleet
  const reseller = { ...fleet.meta(), name: '华东代理', kind: 'reseller' as const, max_domains: 50, max_accounts: 0 }
  const enterprise = {
    ...fleet.meta(),
    name: '示例科技',
    kind: 'enterprise' as const,
    parent: reseller.id,
    max_domains: 3,
    max_accounts: 500,
    contact: '+8613800138001',
  }
  tables.tenants.push(reseller, enterprise)
  const limits = { quota: 10 * 2 ** 30, message_size: 50 * 2 ** 20, recipients: 100 }
  tables.plans.push({ ...fleet.meta(), name: '标准版', limits, features: { forward: false, sms: false } })
  tables.people.push(person(fleet, { name: 'admin', role: 'operator', totp: true }))
  tables.people.push(person(fleet, { name: 'li', role: 'domain-admin', scope: ['domain:example.test'] }))
  tables.tokens.push({
    ...fleet.meta(),
    name: 'nightly',
    role: 'viewer',
    scopes: ['*'],
    actor: 'operator:admin',
    expires: new Date(Date.now() + 30 * 8.64e7).toISOString(),
  })
}

function person(fleet: Fleet, given: Partial<Person> & Pick<Person, 'name' | 'role'>): Person {
  return { ...fleet.meta(), failures: 0, locked_till: never, password_changed: never, totp: false, ...given }
}

/** What the fake knows of signing in, people, tokens, sessions and what accounts hold. */
export class FakeAccess {
  /** The name of the OpenID provider, if there is one. */
  provider: string | undefined
  /** What the operator must do first. */
  must: 'password' | 'totp' | undefined
  /** Whether the operator has a second factor. */
  totp = false
  sessions: LiveSession[]
  policy: Policy = { password_length: 12, password_age: '0s', totp_roles: [], approval_kinds: [], token_life: '0s' }
  #fleet: Fleet

  constructor(fleet: Fleet) {
    this.#fleet = fleet
    const now = new Date().toISOString()
    const browser = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36'
    const at = { address: '192.0.2.7', since: now, active: now, tls: true }
    const account = fleet.tables.accounts[0]
    const mail = { ...at, who: account?.address ?? '', account: account?.id, server: 'mail-hk-1' }
    this.sessions = [
      { ...at, id: 's1', kind: 'console', who: 'admin', client: browser, current: true },
      { ...at, id: 's2', kind: 'console', who: 'admin', client: browser, address: '192.0.2.8' },
      { ...at, id: 's3', kind: 'console', who: 'li', client: browser },
      { ...mail, id: 'a.4', kind: 'imap', client: 'Thunderbird' },
      { ...mail, id: 'a.5', kind: 'pop3', address: '192.0.2.9', tls: false },
    ]
  }

  /** Why a sign-in is refused; undefined when it is not. */
  refuses(given: { user: string; password: string; code?: string }): Answer | undefined {
    if (given.user === 'locked') return refuse(429, 'too many failed sign-ins; try again in 2m')
    if (given.user !== 'admin' || given.password !== password) return refuse(401, 'the name or the password is wrong')
    if (!this.totp || given.code === code) return
    const message = given.code ? 'the code is wrong, or was used already' : 'a code of your second factor is needed'
    return refuse(401, message, [{ message, location: 'body.code' }])
  }

  /** What one changes of oneself. */
  ofOneself(method: string, sub: string, body: unknown): Answer {
    const given = body as { current?: string; password?: string; code?: string } | undefined
    if (sub === 'password') {
      if (given?.current !== password) return complain('current', 'the current password is wrong')
      if (this.must === 'password') this.must = undefined
      return { status: 204 }
    }
    if (method === 'POST')
      return ok({ secret: 'JBSWY3DPEHPK3PXP', url: 'otpauth://totp/Mailfleet:admin?secret=JBSWY3DPEHPK3PXP' })
    if (given?.code !== code) return complain('code', 'the code is wrong, or was used already')
    this.totp = method === 'PUT'
    if (this.must === 'totp') this.must = undefined
    return method === 'PUT' ? ok({ recovery: ['aaaa-bbbb-cccc-dddd', 'eeee-ffff-gggg-hhhh'] }) : { status: 204 }
  }

  /** Answers what is not simply kept; undefined for the rest. */
  handle(method: string, noun: string, id = '', sub = '', q: URLSearchParams, body: unknown): Answer | undefined {
    switch (noun) {
      case 'policy':
        if (method === 'PUT') this.policy = body as Policy
        return ok(this.policy)
      case 'sessions':
        return method !== 'DELETE' ? ok(this.#live(q)) : id ? this.#end(id) : this.#endAll(q)
      case 'people':
        return method === 'POST' ? this.#newPerson(body as Person & { password?: string }) : undefined
      case 'tokens':
        return method === 'POST' ? this.#newToken(body as Token) : undefined
      case 'accounts':
        return id ? this.#account(method, id, sub, body) : undefined
      default:
        return undefined
    }
  }

  #live(q: URLSearchParams) {
    const kinds = (q.get('kind') ?? '').split(',').filter(Boolean)
    const items = this.sessions.filter(
      (s) =>
        (kinds.length === 0 || kinds.includes(s.kind)) &&
        s.who.includes(q.get('who') ?? '') &&
        (!q.get('server') || s.server === q.get('server')) &&
        (!q.get('account') || s.account === q.get('account')),
    )
    return { items, total: items.length, partial: false, silent: [] }
  }

  #end(id: string): Answer {
    const at = this.sessions.findIndex((s) => s.id === id)
    if (at < 0) return refuse(404, `there is no session "${id}"`)
    this.sessions.splice(at, 1)
    return { status: 204 }
  }

  #endAll(q: URLSearchParams): Answer {
    const { items } = this.#live(q)
    this.sessions = this.sessions.filter((s) => !items.includes(s))
    return ok({ ended: items.length, partial: false, silent: [] })
  }

  #newPerson(given: Person & { password?: string }): Answer {
    const made = person(this.#fleet, { name: given.name, role: given.role, scope: given.scope, must_change: true })
    this.#fleet.tables.people.push(made)
    this.#fleet.changed('people', 'created', made)
    return { status: 201, body: { ...made, password: given.password ? undefined : 'abcde-fghij-klmno-pqrst' } }
  }

  #newToken(given: Token): Answer {
    const expires = new Date(Date.now() + 8.64e7).toISOString()
    const made: Token = { ...this.#fleet.meta(), ...given, scopes: given.scopes ?? ['*'], actor: 'admin', expires }
    this.#fleet.tables.tokens.push(made)
    this.#fleet.changed('tokens', 'created', made)
    return { status: 201, body: { ...made, token: 'mft_shown-once' } }
  }

  #account(method: string, id: string, sub: string, body: unknown): Answer | undefined {
    const account = this.#fleet.tables.accounts.find((a) => a.id === id || a.address === id)
    if (!account) return refuse(404, `there is no account "${id}"`)
    if (sub === 'mailboxes') {
      const inbox = { name: 'INBOX', messages: 1204, unseen: 7, bytes: 900 * 2 ** 20 }
      const sent = { name: 'Sent', use: '\\Sent', messages: 310, unseen: 0, bytes: 80 * 2 ** 20 }
      return ok({ bytes: 980 * 2 ** 20, messages: 1514, mailboxes: [inbox, sent], quota: 2 ** 30, max_messages: 0 })
    }
    if (sub === 'sign-ins') {
      const now = new Date().toISOString()
      const alike = { first: now, last: now, count: 3, protocol: 'imap', address: '192.0.2.7', mechanism: 'PLAIN' }
      return ok({
        items: [
          { ...alike, ok: true },
          { ...alike, ok: false, reason: 'wrong password' },
        ],
      })
    }
    if (sub === 'app-passwords') return this.#appPassword(method, account, body as AppPassword)
    if (method !== 'GET' || sub) return undefined
    return ok({
      ...account,
      effective: { limits: { quota: 2 ** 30 }, features: { pop3: true, imap: true, sms: false } },
    })
  }

  #appPassword(method: string, account: { app_passwords?: AppPassword[] }, body: AppPassword): Answer {
    if (method === 'DELETE') {
      account.app_passwords = []
      return { status: 204 }
    }
    const made = { ...body, id: crypto.randomUUID(), created: new Date().toISOString() }
    account.app_passwords = [...(account.app_passwords ?? []), made]
    return { status: 201, body: { ...made, secret: 'abcd efgh ijkl mnop' } }
  }
}
