// Queue and ledger in a real browser, with mail that really waits: it is submitted to a
// domain whose smart host does not listen, and at last rerouted to one that does.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { connect } from 'node:tls'
import {
  desktop,
  dev,
  launch,
  onScreen,
  patience,
  phone,
  picture,
  profile,
  ask as request,
  signIn,
  visit,
} from './console.mjs'

/** @typedef {import('playwright-core').Page} Page */

const mark = Date.now().toString(36)
const domain = `mail-${mark}.test`
const near = `near-${mark}.test`
const far = `far-${mark}.test`
const password = 'correct horse battery'
/** Each is on a server of its own, in this order, and submits there. */
const users = ['alice', 'bob']

/** @type {import('playwright-core').Browser} */
let browser
/** @type {import('./console.mjs').State} */
let state
/** What undoes what the tests made, last first. @type {(() => Promise<unknown>)[]} */
const undo = []
/** Takes mail, but for addresses that begin with refused. @type {import('node:net').Server} */
let sink

before(async () => {
  browser = await launch()
  const { context, page } = await profile(browser)
  await signIn(page)
  state = await context.storageState()
  sink = await listen()
  const closed = await listen()
  const { port } = /** @type {import('node:net').AddressInfo} */ (closed.address())
  closed.close() // nobody listens there any more
  await ask(page, 'POST', '/domains', { name: domain })
  undo.push(() => aside((p) => ask(p, 'DELETE', `/domains/${domain}`)))
  await ask(page, 'PUT', `/domains/${domain}/mail`, { route: { host: '127.0.0.1', port, tls: 'opportunistic' } })
  for (const [i, name] of users.entries()) {
    const address = `${name}@${domain}`
    await ask(page, 'POST', '/accounts', { address, password, server: dev?.servers[i]?.name })
    undo.push(() => aside((p) => ask(p, 'DELETE', `/accounts/${address}`)))
  }
  await context.close()
  await submit('alice', [`x@${far}`])
  await submit('alice', [`y@${near}`])
  await submit('alice', [`z@${far}`, `zz@${near}`])
  await submit('bob', [`refused@${far}`])
  await submit('bob', [`gone@${near}`])
})

after(async () => {
  for (const fn of undo.reverse()) await fn()
  sink?.close()
  await browser.close()
})

/**
 * An SMTP server.
 * @returns {Promise<import('node:net').Server>}
 */
function listen() {
  const server = createServer((socket) => {
    let data = false
    let text = ''
    socket.on('error', () => {})
    socket.write('220 sink.test\r\n')
    socket.on('data', (chunk) => {
      text += chunk
      for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
        const line = text.slice(0, end)
        text = text.slice(end + 2)
        if (data) {
          if (line !== '.') continue
          data = false
          socket.write('250 2.0.0 taken\r\n')
        } else if (/^DATA/i.test(line)) {
          data = true
          socket.write('354 go on\r\n')
        } else if (/^RCPT TO:<refused/i.test(line)) socket.write('550 5.1.1 No such user here\r\n')
        else if (/^QUIT/i.test(line)) socket.end('221 2.0.0 bye\r\n')
        else socket.write('250 2.1.0 ok\r\n')
      }
    })
  })
  return new Promise((done) => {
    server.listen(0, '127.0.0.1', () => done(server))
  })
}

/**
 * Submits a message as a user does, once the fleet knows the account.
 * @param {string} user
 * @param {string[]} to
 */
async function submit(user, to) {
  for (const deadline = Date.now() + patience; ; ) {
    try {
      return await submitOnce(users.indexOf(user), `${user}@${domain}`, to)
    } catch (e) {
      if (Date.now() > deadline) throw e
      await new Promise((done) => setTimeout(done, 300))
    }
  }
}

/**
 * @param {number} at
 * @param {string} from
 * @param {string[]} to
 */
async function submitOnce(at, from, to) {
  const server = dev?.servers[at]
  assert.ok(server)
  const socket = connect({ host: server.address, port: server.ports.submissions ?? 0, rejectUnauthorized: false })
  try {
    let text = ''
    /** @type {(line: string) => void} */
    let heard = () => {}
    /** @type {(e: Error) => void} */
    let failed = () => {}
    socket.on('error', (e) => failed(e))
    socket.on('close', () => failed(new Error('the server hung up')))
    socket.on('data', (chunk) => {
      text += chunk
      const last = text.match(/^\d{3} .*\r\n/m)
      if (last) {
        text = ''
        heard(last[0])
      }
    })
    /** @param {string} line @param {string} want */
    const say = async (line, want) => {
      const answer = await new Promise((done, fail) => {
        heard = done
        failed = fail
        if (line) socket.write(`${line}\r\n`)
      })
      assert.ok(answer.startsWith(want), `${line.slice(0, 20)}: ${answer}`)
    }
    await say('', '220')
    await say('EHLO test', '250')
    await say(`AUTH PLAIN ${Buffer.from(`\0${from}\0${password}`).toString('base64')}`, '235')
    await say(`MAIL FROM:<${from}>`, '250')
    for (const address of to) await say(`RCPT TO:<${address}>`, '250')
    await say('DATA', '354')
    await say(`From: ${from}\r\nTo: ${to.join(', ')}\r\nSubject: ${to[0]}\r\n\r\nhello\r\n.`, '250')
  } finally {
    socket.destroy()
  }
}

/**
 * Asks the API, which must do it, and returns its answer.
 * @param {Page} page
 * @param {string} method
 * @param {string} path
 * @param {unknown} [data]
 */
async function ask(page, method, path, data) {
  const { status, body } = await request(page, method, path, data)
  assert.ok(status < 300, `${method} ${path}: ${status} ${JSON.stringify(body)}`)
  return body
}

/** Asks without a page that a test has open. @param {(page: Page) => Promise<unknown>} fn */
async function aside(fn) {
  const { context, page } = await profile(browser, { state })
  try {
    await fn(page)
  } finally {
    await context.close()
  }
}

/**
 * @param {string} path
 * @param {(page: Page) => Promise<void>} fn
 * @param {import('./console.mjs').Look} [look]
 */
const on = (path, fn, look = {}) => onScreen(browser, { state, ...look }, path, fn)

/**
 * Waits until the queue has what it must of the domain.
 * @param {Page} page
 * @param {string} what
 * @param {(items: any[]) => boolean} fits
 */
async function until(page, what, fits) {
  for (const deadline = Date.now() + patience; ; ) {
    const { items } = await ask(page, 'GET', `/queue?sender=@${domain}`)
    if (fits(items)) return items
    if (Date.now() > deadline) assert.fail(`not ${what}: ${JSON.stringify(items)}`)
    await page.waitForTimeout(300)
  }
}

/**
 * Does something with all that the page shows, and waits for the operation's end.
 * @param {Page} page
 * @param {string} act
 * @param {number} entries
 * @param {(dialog: import('playwright-core').Locator) => Promise<void>} [more]
 */
async function steer(page, act, entries, more) {
  await page.getByText(`筛选出 ${entries} 封`).waitFor()
  await page.locator('.queue-acts').first().getByRole('button', { name: act }).click()
  await more?.(page.getByRole('dialog'))
  const dialog = page.getByRole('dialog')
  const impact = dialog.getByRole('region', { name: '影响' })
  await impact.waitFor()
  assert.match((await impact.textContent()) ?? '', new RegExp(`邮件数${entries}`))
  const confirm = dialog.locator('input[name=confirm]')
  if (await confirm.count()) {
    const asked = (
      (await dialog
        .getByText(/输入 .+ 以确认/)
        .first()
        .textContent()) ?? ''
    ).match(/输入 (.+) 以确认/)
    await confirm.fill(asked?.[1] ?? '')
  }
  const made = page.waitForResponse((r) => r.url().endsWith('/operations') && r.request().method() === 'POST')
  await dialog.locator('button[type=submit]').click()
  const operation = await (await made).json()
  return operation.id
}

/** @param {Page} page @param {string} id */
async function ended(page, id) {
  const operation = await ask(page, 'GET', `/operations/${id}?wait=30s`)
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.steps))
}

/** @param {Page} page @param {string} label @param {string} value */
const fill = (page, label, value) => page.locator('search').getByLabel(label).fill(value)

describe('mail that waits', () => {
  test('it is found by destination, sender, age and last reply', () =>
    on('/queue', async (page) => {
      await until(
        page,
        'all tried',
        (items) => items.length === 6 && items.every((m) => m.last && m.state === 'waiting'),
      )
      await fill(page, '发件人', `@${domain}`)
      await page.getByText('筛选出 6 封').waitFor()
      const sums = page.getByRole('table', { name: '按目的地' })
      await sums.getByRole('button', { name: far }).click()
      await page.getByText('筛选出 3 封').waitFor()
      await fill(page, '目的地', '')
      await fill(page, '发件人', `bob@${domain}`)
      await page.getByText('筛选出 2 封').waitFor()
      await fill(page, '发件人', `@${domain}`)
      await fill(page, '最后答复', '127.0.0.1')
      await page.getByText('筛选出 6 封').waitFor()
      await fill(page, '最后答复', 'never said')
      await page.getByText('没有符合条件的邮件').waitFor()
      await fill(page, '最后答复', '')
      await page.locator('search').getByLabel('在队列中').selectOption({ index: 1 })
      await page.getByText('没有符合条件的邮件').waitFor()
    }))

  test('it looks well in both themes and languages, and on a phone', async () => {
    for (const [theme, language] of /** @type {const} */ ([
      ['light', 'zh'],
      ['dark', 'en'],
    ])) {
      for (const size of [desktop, phone]) {
        await on(
          '/queue',
          async (page) => {
            const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
            assert.ok(wide <= 0, `the page is ${wide} pixels too wide`)
            await picture(page, `queue-mail-${theme}-${language}-${size.width}`)
            await page.locator('table.queue tbody button').first().click()
            await page.getByRole('dialog').waitFor()
            await picture(page, `queue-entry-${theme}-${language}-${size.width}`)
          },
          { theme, language, ...size },
        )
      }
    }
  })

  test('it is held, released and tried again', () =>
    on('/queue', async (page) => {
      await fill(page, '发件人', `@${domain}`)
      await ended(page, await steer(page, '扣留', 6))
      await until(page, 'held', (items) => items.every((m) => m.state === 'held'))
      await visit(page, '/queue')
      await fill(page, '发件人', `@${domain}`)
      await ended(page, await steer(page, '放行', 6))
      const before = await until(page, 'released', (items) => items.every((m) => m.state !== 'held'))
      await visit(page, '/queue')
      await fill(page, '发件人', `@${domain}`)
      await ended(page, await steer(page, '立即重试', 6))
      await until(page, 'tried again', (items) =>
        items.every((m) => m.attempts > (before.find((/** @type {any} */ b) => b.id === m.id)?.attempts ?? 0)),
      )
    }))

  test('it is exported as one archive', () =>
    on('/queue', async (page) => {
      await fill(page, '发件人', `@${domain}`)
      const fetched = page.waitForEvent('download')
      const id = await steer(page, '导出', 6)
      const download = await fetched
      const zip = await readFile(await download.path())
      assert.equal(download.suggestedFilename(), `queue-${id}.zip`)
      const names = zip.toString('latin1')
      assert.equal(names.match(/\.eml/g)?.length, 10) // each twice: where it is, and in the directory
      assert.ok(names.includes('messages.jsonl') && !names.includes('incomplete.txt'))
      await ended(page, id)
      await page
        .getByText(/已交出队列中的 \d+ 项/)
        .first()
        .waitFor()
      await picture(page, 'queue-export-light-zh')
    }))

  test('it is deleted once the number is typed', () =>
    on('/queue', async (page) => {
      await fill(page, '收件人', `gone@${near}`)
      await ended(page, await steer(page, '删除', 1))
      await until(page, 'gone', (items) => items.length === 5)
    }))

  test('it is rerouted to a host that takes it', () =>
    on('/queue', async (page) => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (sink.address())
      await fill(page, '发件人', `@${domain}`)
      const id = await steer(page, '改道', 5, async (dialog) => {
        await dialog.getByLabel(/主机/).fill('127.0.0.1')
        await dialog.getByLabel(/端口/).fill(String(port))
        await dialog.getByRole('button', { name: '查看影响' }).click()
      })
      await ended(page, id)
      await until(page, 'all gone', (items) => items.length === 0)
    }))

  test('the ledger has what was sent, and what was refused with the last reply', async () => {
    await aside(async (page) => {
      for (const deadline = Date.now() + patience; ; ) {
        const { total } = await ask(page, 'GET', `/ledger?domain=${domain}`)
        if (total.out === 4 && total.failed === 2 && total.in === 1) break // bob was told of the refusal
        if (Date.now() > deadline) assert.fail(JSON.stringify(total))
        await page.waitForTimeout(300)
      }
    })
    await on(`/ledger?domain=${domain}`, async (page) => {
      await page.getByLabel('按账户').check({ force: true })
      const table = page.getByRole('table', { name: '明细' })
      const alice = table.locator('tr').filter({ hasText: `alice@${domain}` })
      await alice.waitFor()
      assert.match((await alice.textContent()) ?? '', /4/)
      const failures = page.getByRole('table', { name: '投递失败记录' })
      await failures.getByText(`refused@${far}`).waitFor()
      await failures.getByText(/5\.1\.1 No such user here/).waitFor()
      const link = await page.getByRole('link', { name: /CSV/ }).last().getAttribute('href')
      const file = await page.request.get(new URL(link ?? '', page.url()).href)
      assert.match(await file.text(), new RegExp(`refused@${far}`))
    })
    for (const [theme, language] of /** @type {const} */ ([
      ['light', 'zh'],
      ['dark', 'en'],
    ])) {
      for (const size of [desktop, phone]) {
        await on(
          `/ledger?domain=${domain}`,
          async (page) => {
            await page.locator('.u-legend').first().waitFor()
            const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
            assert.ok(wide <= 0, `the page is ${wide} pixels too wide`)
            await picture(page, `ledger-mail-${theme}-${language}-${size.width}`)
          },
          { theme, language, ...size },
        )
      }
    }
  })
})
