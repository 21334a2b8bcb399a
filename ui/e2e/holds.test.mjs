// An account sends far more than usual, by real submission: its mail is held, an alert
// names it, and it is suspended and released in the console, in both languages and themes.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { ask, dev, launch, noWider, patience, phone, picture, profile, signIn, violations, visit } from './console.mjs'

/** @typedef {import('playwright-core').Page} Page */

const run = Date.now().toString(36)
const address = `held-${run}@example.test`
const password = 'a winter evening by the sea'
/** Recipients of a message; the default brake lets 50 in an hour pass. */
const burst = 60

/** @type {import('playwright-core').Browser} */
let browser
/** @type {import('./console.mjs').State} */
let state
/** @type {Page} */
let page
/** @type {import('./console.mjs').Server} */
let server
let account = ''

before(async () => {
  const [first] = dev?.servers ?? []
  if (!first) throw new Error('set DEV_JSON to the dev.json of a running fleet')
  server = first
  browser = await launch()
  const { context, page: own } = await profile(browser)
  page = own
  await signIn(page)
  state = await context.storageState()
  const made = await ask(page, 'POST', '/accounts', { address, password, server: server.name })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  account = made.body.id
})

after(async () => {
  if (account) await ask(page, 'DELETE', `/accounts/${account}`)
  await browser.close()
})

/** A submission session, line by line. */
class Submission {
  #socket = connect({ host: server.address, port: server.ports.submission ?? 0 })
  #data = this.#socket[Symbol.asyncIterator]()
  #text = ''

  /** Reads a whole reply and returns its last line. */
  async reply() {
    for (;;) {
      const last = this.#text.match(/^(?:\d{3}-.*\r\n)*(\d{3} .*)\r\n/)
      if (last) {
        this.#text = this.#text.slice(last[0].length)
        return last[1] ?? ''
      }
      const { value, done } = await this.#data.next()
      if (done) throw new Error(`the server hung up after ${JSON.stringify(this.#text)}`)
      this.#text += String(value)
    }
  }

  /** @param {string} line */
  async say(line) {
    this.#socket.write(`${line}\r\n`)
    return this.reply()
  }

  /** Greets and signs in; returns the answer to that. */
  async signIn() {
    await this.reply()
    await this.say('EHLO client.test')
    return this.say(`AUTH PLAIN ${Buffer.from(`\0${address}\0${password}`).toString('base64')}`)
  }

  /** @param {number} recipients */
  async send(recipients) {
    const replies = [await this.say(`MAIL FROM:<${address}>`)]
    for (let i = 0; i < recipients; i++) replies.push(await this.say(`RCPT TO:<user1+${run}-${i}@example.test>`))
    replies.push(await this.say('DATA'), await this.say(`From: ${address}\r\nSubject: ${run}\r\n\r\nx\r\n.`))
    return replies.filter((r) => !/^[23]/.test(r))
  }

  close() {
    this.#socket.destroy()
  }
}

/**
 * Waits for something: rules are judged every 10 s.
 * @template T
 * @param {string} what
 * @param {() => Promise<T | undefined | false>} look
 * @returns {Promise<T>}
 */
async function eventually(what, look) {
  for (const until = Date.now() + patience; ; await pause(500)) {
    const found = await look()
    if (found) return found
    if (Date.now() > until) throw new Error(`${what}: not within ${patience / 1000} s`)
  }
}

const held = async () => (await ask(page, 'GET', `/holds?account=${account}`)).body?.items?.[0]
const alert = async () =>
  (await ask(page, 'GET', '/alerts')).body.items.find(
    (/** @type {{tags?: Record<string, string>}} */ a) => a.tags?.account === address,
  )

/** @type {Submission} */
let session

test('a burst is held, and an alert names the account and says why', async () => {
  session = await eventually('the account signs in', async () => {
    const s = new Submission()
    if ((await s.signIn()).startsWith('235')) return s
    s.close()
    return undefined
  })
  assert.deepEqual(await session.send(burst), [])
  assert.deepEqual(await session.send(burst), [])
  const hold = await held()
  assert.equal(hold?.sent, 2 * burst, JSON.stringify(hold))
  assert.equal(hold.messages, 2)
  const fired = await eventually('the alert', async () => {
    const a = await alert()
    return a?.state === 'firing' && a
  })
  assert.equal(fired.value, 2 * burst)

  await visit(page, '/alerts')
  const line = page.locator(`[data-alert="${fired.id}"]`)
  await line.getByText(`${2 * burst} 个收件人`).waitFor()
  await line.getByText(/暂扣 2 封/).waitFor()
  assert.deepEqual(await violations(page), [])
  await picture(page, 'hold-alert-zh-light')
})

test('the alert and the account look right in both themes, in English and on a phone', async () => {
  /** @type {import('./console.mjs').Look[]} */
  const looks = [
    { theme: 'dark', language: 'en' },
    { theme: 'light', language: 'en', ...phone },
    { theme: 'dark', language: 'zh', ...phone },
  ]
  for (const look of looks) {
    const opened = await profile(browser, { ...look, state })
    for (const [name, path, text] of [
      ['alert', '/alerts', look.language === 'en' ? `Wrote to ${2 * burst} recipients` : `${2 * burst} 个收件人`],
      ['account', `/accounts/${account}`, look.language === 'en' ? 'Its mail is held' : '发信已暂停'],
    ]) {
      await visit(opened.page, path ?? '')
      await opened.page
        .getByText(text ?? '')
        .first()
        .waitFor()
      assert.deepEqual(await violations(opened.page), [], `${name} ${JSON.stringify(look)}`)
      if (look.width) await noWider(opened.page)
      await picture(opened.page, `hold-${name}-${look.language}-${look.theme}${look.width ? '-phone' : ''}`)
    }
    assert.deepEqual(opened.complaints, [])
    await opened.context.close()
  }
})

test('one tap suspends the account: its session ends, nobody signs in, its mail stays held', async () => {
  await visit(page, '/alerts')
  const ended = session.reply()
  await page.getByRole('button', { name: `停用: ${address}` }).click()
  await page.getByRole('button', { name: `恢复: ${address}` }).waitFor()
  assert.match(await ended, /^421 /)
  session.close()
  const again = new Submission()
  assert.match(await again.signIn(), /^525 /)
  again.close()
  const hold = await held()
  assert.equal(hold?.state, 'suspended')
  assert.equal(hold.messages, 2)
  await picture(page, 'hold-suspended-zh-light')
})

test('releasing asks first, lets the mail go, and the alert ends', async () => {
  const before = (await ask(page, 'GET', `/ledger?by=account&account=${account}`)).status
  assert.equal(before, 200)
  const english = await profile(browser, { language: 'en', theme: 'dark', state })
  await visit(english.page, `/accounts/${account}`)
  await english.page.getByRole('button', { name: `Release: ${address}` }).click()
  const dialog = english.page.getByRole('dialog')
  await dialog.getByText('2 held messages go out').waitFor()
  await dialog.getByText('The account stays suspended').waitFor()
  await picture(english.page, 'hold-release-en-dark')
  await dialog.getByRole('button', { name: 'Release' }).click()
  await english.page.getByText('Its mail is held').waitFor({ state: 'detached' })
  assert.equal(await held(), undefined)
  assert.deepEqual(english.complaints, [])
  await english.context.close()
  await eventually('the mail goes', async () => {
    const waiting = await ask(page, 'GET', `/queue/summary?sender=${account}`)
    return waiting.body.total.entries === 0
  })
  const over = await eventually('the end of the alert', async () => {
    const a = await alert()
    return a?.state === 'resolved' && a
  })
  assert.equal(over.value, 0)
  const log = await ask(page, 'GET', '/audit?action=account.release-hold')
  assert.ok(log.body.items.some((/** @type {{target: string}} */ e) => e.target === account))
})
