// People of all roles in a real browser against a real controller: what a
// domain's administrator sees and can do, second factors, tokens, sessions.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { connect } from 'node:tls'
import { request } from 'playwright-core'
import { ask, dev, launch, patience, profile, signIn, target, visit } from './console.mjs'

/** @typedef {import('playwright-core').Page} Page */

const run = Date.now().toString(36)
const domain = `e2e-${run}.test`
const admin = { user: `admin-${run}`, password: '' }
const password = 'a winter evening by the sea'

/** @type {import('playwright-core').Browser} */
let browser
/** The operator's. */
/** @type {Page} */
let page
/** The domain's administrator's. */
/** @type {Page} */
let theirs
/** What the administrator's page complained of. */
/** @type {string[]} */
let complaints

before(async () => {
  browser = await launch()
  page = (await profile(browser)).page
  await signIn(page)
  const made = await ask(page, 'POST', '/domains', { name: domain })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const opened = await profile(browser)
  theirs = opened.page
  complaints = opened.complaints
})

after(async () => {
  const all = async (/** @type {string} */ path) => (await ask(page, 'GET', path)).body?.items ?? []
  for (const p of await all('/people')) if (p.name === admin.user) await ask(page, 'DELETE', `/people/${p.id}`)
  for (const k of await all('/tokens')) if (k.name.endsWith(run)) await ask(page, 'DELETE', `/tokens/${k.id}`)
  for (const a of await all(`/accounts?domain=${domain}`)) await ask(page, 'DELETE', `/accounts/${a.id}`)
  for (const d of await all('/domains')) if (d.name === domain) await ask(page, 'DELETE', `/domains/${d.id}`)
  await browser.close()
})

/**
 * A code of a second factor (RFC 6238), now or so many steps from now.
 * @param {string} secret base32
 */
function codeOf(secret, steps = 0) {
  const bits = [...secret]
    .map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0'))
    .join('')
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((b) => Number.parseInt(b, 2)))
  const at = Buffer.alloc(8)
  at.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps))
  const mac = createHmac('sha1', key).update(at).digest()
  const n = mac.readUInt32BE((mac.at(-1) ?? 0) & 15) & 0x7fffffff
  return String(n % 1_000_000).padStart(6, '0')
}

/**
 * What a screen lists, once it does.
 * @param {Page} on
 * @param {string} [what]
 */
async function listed(on, what = 'main tbody .row-link') {
  await on.locator(what).first().waitFor()
  return on.locator(what).allTextContents()
}

describe('a domain administrator', () => {
  test('is added by the operator, with a password that is shown once', async () => {
    await visit(page, '/people')
    await page.getByRole('button', { name: '添加人员' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('用户名').fill(admin.user)
    await dialog.getByLabel('角色').selectOption('domain-admin')
    await dialog.getByRole('combobox', { name: '域名' }).fill(domain)
    await dialog.getByRole('button', { name: '添加', exact: true }).click()
    admin.password = (await dialog.locator('.command').textContent()) ?? ''
    assert.match(admin.password, /^[a-z2-7-]{23}$/)
    await dialog.getByRole('button', { name: '完成' }).click()
    await page.getByRole('link', { name: admin.user }).waitFor()
    assert.equal(await page.getByText(admin.password).count(), 0)
  })

  test('changes it before anything else, to one that the policy allows', async () => {
    await theirs.goto(`${target.url}/accounts`)
    await theirs.locator('input[name=user]').fill(admin.user)
    await theirs.locator('input[name=password]').fill(admin.password)
    await theirs.locator('button[type=submit]').click()
    await theirs.getByRole('heading', { name: '请先设置新密码' }).waitFor()
    await theirs.getByText(/至少 12 个字符/).waitFor()
    assert.equal((await ask(theirs, 'GET', '/accounts')).status, 403)
    await theirs.getByLabel('当前密码').fill(admin.password)
    await theirs.getByLabel('新密码').fill(`${admin.user} and more`)
    await theirs.getByRole('button', { name: '修改' }).click()
    await theirs
      .locator('.mantine-PasswordInput-error')
      .getByText(/密码不能包含名称/)
      .waitFor()
    await theirs.getByLabel('新密码').fill(password)
    await theirs.getByRole('button', { name: '修改' }).click()
    await theirs.getByRole('heading', { level: 1, name: '账户' }).waitFor()
    admin.password = password
  })

  test('adds accounts to that domain and to no other', async () => {
    for (const [name, refused] of /** @type {const} */ ([
      [domain, false],
      ['example.test', true],
    ])) {
      await theirs.getByRole('button', { name: '添加账户' }).first().click()
      const dialog = theirs.getByRole('dialog')
      assert.equal(await dialog.getByLabel('所在服务器').count(), 0)
      await dialog.getByLabel('邮件地址').fill(`anna-${run}@${name}`)
      await dialog.getByLabel('密码').fill('spring tide at noon')
      await dialog.getByRole('button', { name: '添加', exact: true }).click()
      if (refused) {
        await dialog.getByRole('alert').first().waitFor()
        await dialog.getByRole('button', { name: '取消' }).click()
      } else await theirs.getByRole('link', { name: `anna-${run}@${name}` }).waitFor()
    }
  })

  test('sees that domain and its accounts alone, and no servers', async () => {
    await visit(theirs, '/')
    await theirs.getByRole('heading', { level: 1, name: '域名' }).waitFor() // there is no overview for them
    assert.deepEqual(await listed(theirs), [domain])
    const offered = await theirs.getByRole('navigation').getByRole('link').allTextContents()
    for (const name of ['总览', '服务', '操作记录', '告警规则', '租户', '安全策略'])
      assert.ok(!offered.includes(name), name)
    await visit(theirs, '/accounts')
    assert.deepEqual(await listed(theirs), [`anna-${run}@${domain}`])
    await visit(theirs, '/people')
    assert.deepEqual(await listed(theirs), [admin.user])
    await visit(theirs, '/sessions')
    const who = await listed(theirs, 'main tbody td[data-label=谁]')
    assert.ok(
      who.every((name) => name === admin.user),
      who.join(),
    )
  })

  test('is refused what is not theirs, by its address and by the API', async () => {
    const servers = (await ask(page, 'GET', '/servers')).body.items
    for (const path of [`/servers/${servers[0].name}`, '/operations', '/services', '/rules', '/tenants', '/contacts']) {
      await theirs.goto(target.url + path)
      await theirs.getByRole('heading', { level: 1, name: '没有权限' }).waitFor()
    }
    const [other] = (await ask(page, 'GET', '/accounts?domain=example.test')).body.items
    await theirs.goto(`${target.url}/accounts/${other.id}`)
    await theirs.getByText(new RegExp(`没有.*${other.id}`)).waitFor()

    const operation = { kind: 'server.reboot', targets: [{ server: servers[0].name }], confirm: servers[0].name }
    /** @type {[method: string, path: string, status: number, body?: unknown][]} */
    const asked = [
      ['GET', '/servers', 403],
      ['GET', '/status', 403],
      ['GET', '/samples', 403],
      ['GET', '/tenants', 403],
      ['GET', '/audit/verify', 403],
      ['POST', '/operations', 403, operation],
      ['PUT', '/policy', 403, (await ask(page, 'GET', '/policy')).body],
      ['GET', `/accounts/${other.id}`, 404],
      ['GET', `/accounts/${other.id}/mailboxes`, 404],
      ['PATCH', `/accounts/${other.id}`, 404, { state: 'suspended' }],
      ['POST', `/accounts/${other.id}/app-passwords`, 404, { name: 'phone' }],
      ['POST', '/people', 403, { name: `root-${run}`, role: 'operator' }],
      ['POST', '/people', 403, { name: `root-${run}`, role: 'domain-admin', scope: ['domain:example.test'] }],
      ['POST', '/tokens', 403, { name: `root-${run}`, role: 'viewer', scope: 'fleet' }],
      ['POST', '/domains', 403, { name: `other-${domain}` }],
    ]
    for (const [method, path, status, body] of asked)
      assert.equal((await ask(theirs, method, path, body)).status, status, `${method} ${path}`)
  })

  test('makes a token that is shown once, works where they may, and ends when it is revoked', async () => {
    await visit(theirs, '/tokens')
    await theirs.getByRole('button', { name: '新建令牌' }).first().click()
    const dialog = theirs.getByRole('dialog')
    await dialog.getByLabel('名称').fill(`token-${run}`)
    await dialog.getByLabel('角色').selectOption('helpdesk')
    await dialog.getByRole('combobox', { name: '域名' }).fill(domain)
    await dialog.getByLabel('有效期').selectOption({ label: '1 天' })
    await dialog.getByRole('button', { name: '添加', exact: true }).click()
    const token = (await dialog.locator('.command').textContent()) ?? ''
    assert.match(token, /^mft_/)
    await dialog.getByRole('button', { name: '完成' }).click()
    await theirs.reload()
    const row = theirs.locator('main tbody b', { hasText: `token-${run}` })
    await row.waitFor()
    assert.equal(await theirs.getByText(token).count(), 0)

    const script = await request.newContext({
      ignoreHTTPSErrors: true,
      extraHTTPHeaders: { Authorization: `Bearer ${token}` },
    })
    const accounts = await script.get(`${target.url}/api/v1/accounts`)
    const addresses = (await accounts.json()).items.map((/** @type {{address: string}} */ a) => a.address)
    assert.deepEqual(addresses, [`anna-${run}@${domain}`])
    assert.equal((await script.get(`${target.url}/api/v1/servers`)).status(), 403)
    await theirs.getByRole('button', { name: `吊销: token-${run}` }).click()
    await theirs.getByRole('dialog').getByRole('button', { name: '吊销' }).click()
    await row.waitFor({ state: 'detached' })
    assert.equal((await script.get(`${target.url}/api/v1/accounts`)).status(), 401)
    await script.dispose()
  })

  test('sets a second factor up and signs in with its code, or with a recovery code', async () => {
    await visit(theirs, '/security')
    await theirs.getByRole('button', { name: '启用两步验证' }).click()
    const dialog = theirs.getByRole('dialog')
    await dialog.getByRole('button', { name: '启用两步验证' }).click()
    await dialog.getByRole('img', { name: '两步验证二维码' }).waitFor()
    const secret = ((await dialog.locator('.command').textContent()) ?? '').replaceAll(' ', '')
    await dialog.getByLabel('应用显示的验证码').fill(codeOf(secret))
    await dialog.getByRole('button', { name: '确认启用' }).click()
    await dialog.getByText('恢复码', { exact: true }).waitFor()
    const recovery = ((await dialog.locator('.command').textContent()) ?? '').split('\n')
    assert.equal(recovery.length, 10)
    await dialog.getByRole('button', { name: '我已保存' }).click()
    await theirs.getByText('已启用').waitFor()

    for (const code of [codeOf(secret, 1), recovery[0] ?? '']) {
      await theirs.getByRole('button', { name: '退出登录' }).click()
      await theirs.locator('input[name=user]').fill(admin.user)
      await theirs.locator('input[name=password]').fill(password)
      await theirs.locator('button[type=submit]').click()
      await theirs.locator('input[name=code]').fill('000000')
      await theirs.locator('button[type=submit]').click()
      await theirs.getByText('验证码不正确，或已经用过。').waitFor()
      await theirs.locator('input[name=code]').fill(code)
      await theirs.locator('button[type=submit]').click()
      await theirs.getByRole('heading', { level: 1, name: '域名' }).waitFor()
    }
  })

  test('is shut out when the operator ends the session, and the page says so', async () => {
    await visit(page, '/people')
    await page.getByRole('link', { name: admin.user }).click()
    await page
      .getByRole('button', { name: `结束: ${admin.user} 127.0.0.1` })
      .first()
      .click()
    await page.getByRole('dialog').getByRole('button', { name: '结束' }).click()
    await theirs.getByText('会话已结束，请重新登录。').waitFor()
    assert.deepEqual(complaints, [])
  })

  test('left a trail that is searched and exported', async () => {
    await visit(page, '/audit')
    await page.getByLabel('内容包含').fill(`anna-${run}`)
    await page.getByRole('button', { name: '查询' }).click()
    await page.waitForFunction(() => document.querySelectorAll('main .table > tbody > tr').length === 1)
    const row = page.locator('main .table > tbody > tr').filter({ hasText: 'account.create' })
    await row.getByText(admin.user).waitFor()
    await row.getByText('查看').click()
    await row
      .locator('ins', { hasText: `anna-${run}@${domain}` })
      .first()
      .waitFor()
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: '导出 CSV' }).click(),
    ])
    const text = readFileSync(await download.path(), 'utf8')
    const lines = text.trim().split('\r\n')
    assert.match(lines[0] ?? '', /^seq,time,actor,address,action/)
    assert.equal(lines.length, 2)
    assert.match(lines[1] ?? '', new RegExp(`account.create.*anna-${run}@${domain}`))
  })
})

describe('an account', { skip: !dev && 'only a dev fleet tells its passwords' }, () => {
  test('shows who is connected, and the operator ends it', async (t) => {
    const user = dev?.users[0]
    const server = dev?.servers.find((s) => s.id === user?.server)
    if (!user || !server) throw new Error('dev.json names no user and server')
    const imap = connect({ host: server.address, port: server.ports.imaps ?? 0, rejectUnauthorized: false })
    t.after(() => imap.destroy())
    imap.setEncoding('utf8')
    const closed = new Promise((done) => imap.once('close', done))
    const signedIn = new Promise((done, fail) => {
      imap.on('error', fail)
      imap.on('data', (/** @type {string} */ text) => /^a OK/m.test(text) && done(true))
    })
    imap.write(`a LOGIN ${user.address} ${user.password}\r\n`)
    await signedIn

    await visit(page, '/accounts?domain=example.test')
    await page.getByRole('link', { name: user.address }).click()
    await page.getByRole('heading', { level: 1, name: user.address }).waitFor()
    await page.getByRole('table', { name: '邮箱文件夹' }).getByText('INBOX').waitFor()
    const live = page.getByRole('table', { name: '当前连接' }).getByRole('row').filter({ hasText: 'IMAP' })
    await live.first().waitFor()
    await page.getByRole('table', { name: '最近登录' }).getByText('成功').first().waitFor()
    await live.first().getByRole('button', { name: /^结束/ }).click()
    await page.getByRole('dialog').getByRole('button', { name: '结束' }).click()
    await closed
    await live.waitFor({ state: 'detached' })
  })

  test('signs in with an application password until it is revoked', async () => {
    const user = dev?.users[1]
    const server = dev?.servers.find((s) => s.id === user?.server)
    if (!user || !server) throw new Error('dev.json names no user and server')
    /** What the server says to a LOGIN with a password. */
    const login = (/** @type {string} */ secret) =>
      new Promise((done, fail) => {
        const imap = connect({ host: server.address, port: server.ports.imaps ?? 0, rejectUnauthorized: false })
        imap.setEncoding('utf8')
        imap.on('error', fail)
        imap.on('data', (/** @type {string} */ text) => {
          const answer = /^a (OK|NO)/m.exec(text)
          if (answer) done(answer[1])
          if (answer) imap.end()
        })
        imap.write(`a LOGIN ${user.address} "${secret}"\r\n`)
      })
    /** Asks until the server has heard of the change. */
    const becomes = async (/** @type {string} */ secret, /** @type {string} */ wanted) => {
      const until = Date.now() + patience
      for (let answer; answer !== wanted; ) {
        assert.ok(Date.now() < until, `the server still answers ${answer}`)
        if (answer) await pause(1000) // failures in a row would lock the account
        answer = await login(secret)
      }
    }
    await visit(page, '/accounts?domain=example.test')
    await page.getByRole('link', { name: user.address }).click()
    await page.getByRole('button', { name: '新建应用专用密码' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('应用或设备').fill(`phone-${run}`)
    await dialog.getByRole('button', { name: '添加', exact: true }).click()
    const secret = (await dialog.locator('.command').textContent()) ?? ''
    await dialog.getByRole('button', { name: '完成' }).click()
    assert.equal(await page.getByText(secret).count(), 0)
    await becomes(secret, 'OK')
    await page.getByRole('button', { name: `吊销: phone-${run}` }).click()
    await page.getByRole('dialog').getByRole('button', { name: '吊销' }).click()
    await page.locator('main tbody b', { hasText: `phone-${run}` }).waitFor({ state: 'detached' })
    await becomes(secret, 'NO')
  })
})
