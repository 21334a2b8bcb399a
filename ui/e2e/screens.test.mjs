// Every screen, in both themes and languages: axe finds nothing (WCAG 2.2 AA),
// nothing is wider than a phone, and with SCREENSHOTS=folder each is pictured.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  ask,
  desktop,
  launch,
  noWider,
  phone,
  picture,
  profile,
  screens,
  servers,
  signIn,
  target,
  violations,
  visit,
} from './console.mjs'

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('./console.mjs').Look} Look */

/** @type {import('playwright-core').Browser} */
let browser
/** @type {import('./console.mjs').State} */
let state
/** @type {[name: string, path: string][]} */
let all
/** The name of a server that is up. */
let chosen = ''

before(async () => {
  browser = await launch()
  const { context, page } = await profile(browser)
  await signIn(page)
  state = await context.storageState()
  const server = (await servers(page).first().getAttribute('data-server')) ?? ''
  await furnish(page, server)
  const first = async (/** @type {string} */ noun) => (await ask(page, 'GET', `/${noun}?limit=1`)).body.items[0]?.id
  const [operation, account, person] = [await first('operations'), await first('accounts'), await first('people')]
  chosen = server
  all = screens({ server, operation, account, person, pool: 'screens' })
  await context.close()
})

after(() => browser.close())

/**
 * Sees to it that the lists of tenants, plans, people, tokens, pools and windows have something to show.
 * @param {Page} page
 * @param {string} server
 */
async function furnish(page, server) {
  const have = async (/** @type {string} */ noun) => (await ask(page, 'GET', `/${noun}`)).body.items.length
  const reseller = { name: 'Screens Reseller', kind: 'reseller', max_domains: 50 }
  if ((await have('tenants')) === 0) await ask(page, 'POST', '/tenants', reseller)
  const limits = { quota: 10 * 2 ** 30, message_size: 50 * 2 ** 20, recipients: 100 }
  const plan = { name: 'Screens Plan', limits, features: { sms: false, pop3: true } }
  if ((await have('plans')) === 0) await ask(page, 'POST', '/plans', plan)
  const person = { name: 'screens', role: 'domain-admin', scope: ['domain:example.test'] }
  if ((await have('people')) === 1) await ask(page, 'POST', '/people', person)
  const pool = { name: 'screens', service: 'mailnode', members: [{ server }], per_region: 1 }
  if ((await have('pools')) === 0) await ask(page, 'POST', '/pools', pool)
  const group = {
    address: 'all@example.test',
    members: ['user1@example.test', 'user2@example.test'],
    writers: 'domain',
  }
  if ((await have('groups')) === 0) await ask(page, 'POST', '/groups', group)
  const from = new Date(Date.now() + 24 * 3_600_000)
  const window = { reason: 'screens', servers: [server], from, to: new Date(from.getTime() + 3_600_000) }
  if ((await have('windows')) === 0) await ask(page, 'POST', '/windows', window)
}

/**
 * Shows every screen in a look, the sign-in first, and hands each to look.
 * @param {Look} of
 * @param {(page: Page, name: string) => Promise<void>} look
 */
async function each(of, look) {
  const stranger = await profile(browser, of)
  await stranger.page.goto(target.url)
  await stranger.page.locator('input[name=user]').waitFor()
  await look(stranger.page, 'sign-in')
  await stranger.context.close()

  const { context, page, complaints } = await profile(browser, { ...of, state })
  for (const [name, path] of all) {
    await visit(page, path)
    await look(page, name)
  }
  assert.deepEqual(complaints, [])
  await context.close()
}

describe('every screen', () => {
  for (const theme of /** @type {const} */ (['light', 'dark']))
    for (const language of /** @type {const} */ (['zh', 'en'])) {
      test(`passes axe, ${theme}, ${language}`, async () => {
        /** @type {Record<string, unknown>} */
        const found = {}
        await each({ theme, language, ...desktop }, async (page, name) => {
          const v = await violations(page)
          if (v.length > 0) found[name] = v
          await picture(page, `${name}-${theme}-${language}`)
        })
        assert.deepEqual(found, {})
      })

      test(`fits a phone, ${theme}, ${language}`, async () => {
        /** @type {Record<string, unknown>} */
        const found = {}
        await each({ theme, language, ...phone }, async (page, name) => {
          const v = await violations(page)
          if (v.length > 0) found[name] = v
          await picture(page, `${name}-${theme}-${language}-phone`)
          await noWider(page)
        })
        assert.deepEqual(found, {})
      })
    }

  test('fits a tablet', async () => {
    const { context, page } = await profile(browser, { state, width: 900, height: 900 })
    for (const [, path] of all) {
      await visit(page, path)
      await noWider(page)
    }
    await context.close()
  })

  test('passes axe with its dialogs and its navigation open', async () => {
    const { context, page } = await profile(browser, { state, ...phone })
    await visit(page, '/rules')
    await page.getByRole('button', { name: '菜单' }).click()
    assert.deepEqual(await violations(page), [])
    await picture(page, 'navigation-light-zh-phone')
    await page.getByRole('button', { name: '菜单' }).click()
    await page.getByRole('button', { name: '新建规则' }).first().click()
    assert.deepEqual(await violations(page), [])
    await picture(page, 'rule-light-zh-phone')
    await page.setViewportSize(desktop)
    await picture(page, 'rule-light-zh')
    await context.close()
  })

  for (const theme of /** @type {const} */ (['light', 'dark']))
    test(`passes axe where one steers, ${theme}`, async () => {
      const { context, page, complaints } = await profile(browser, { state, theme, ...desktop })
      await visit(page, `/servers/${chosen}`)
      const services = page.getByRole('table', { name: '服务' })
      /**
       * @param {string} name
       * @param {import('playwright-core').Locator} ready
       */
      const look = async (name, ready) => {
        await ready.first().waitFor()
        assert.deepEqual(await violations(page), [], name)
        await picture(page, `${name}-${theme}-zh`)
        await page.keyboard.press('Escape')
        await page.locator('dialog, [role=menu]').waitFor({ state: 'detached' })
      }
      await page.getByRole('button', { name: '更多操作', exact: true }).click()
      await look('menu', page.getByRole('menu'))
      await page.getByRole('button', { name: `重启: ${chosen}` }).click()
      await look('operate', page.locator('dialog .impact'))
      await services.getByRole('button', { name: '日志' }).first().click()
      await look('log', page.locator('dialog .log'))
      await page.getByRole('button', { name: '添加服务' }).click()
      await look('service', page.locator('dialog textarea'))
      await page.getByRole('button', { name: '编辑: 电源' }).click()
      await look('power', page.locator('dialog select'))
      await visit(page, '/releases')
      await page.getByRole('button', { name: '上传发行版' }).first().click()
      await look('release', page.locator('dialog form'))
      await visit(page, '/domains/example.test')
      await page.getByRole('button', { name: '编辑: 收发设置' }).click()
      await look('mail-settings', page.locator('dialog form'))
      await visit(page, '/services')
      await page.getByRole('checkbox', { name: '选择所有 mailnode' }).check()
      await page.getByRole('button', { name: '应用设置' }).click()
      await look('settings', page.locator('dialog .impact'))
      await visit(page, '/')
      await page.getByRole('checkbox', { name: `选择 ${chosen}` }).check()
      await page.getByRole('region', { name: '对所选的操作' }).waitFor()
      assert.deepEqual(await violations(page), [], 'bulk')
      await picture(page, `bulk-bar-${theme}-zh`)
      assert.deepEqual(complaints, [])
      await context.close()
    })
})
