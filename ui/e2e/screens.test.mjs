// Every screen, in both themes and languages: axe finds nothing (WCAG 2.2 AA),
// nothing is wider than a phone, and with SCREENSHOTS=folder each is pictured.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'
import { ask, desktop, launch, phone, picture, profile, screens, servers, signIn, target, visit } from './console.mjs'

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('./console.mjs').Look} Look */

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

/** @type {import('playwright-core').Browser} */
let browser
/** @type {import('./console.mjs').State} */
let state
/** @type {[name: string, path: string][]} */
let all

before(async () => {
  browser = await launch()
  const { context, page } = await profile(browser)
  await signIn(page)
  state = await context.storageState()
  const server = (await servers(page).first().getAttribute('data-server')) ?? ''
  await furnish(page)
  const first = async (/** @type {string} */ noun) => (await ask(page, 'GET', `/${noun}?limit=1`)).body.items[0]?.id
  const [operation, account, person] = [await first('operations'), await first('accounts'), await first('people')]
  all = screens({ server, operation, account, person })
  await context.close()
})

after(() => browser.close())

/**
 * Sees to it that the lists of tenants, plans, people and tokens have something to show.
 * @param {Page} page
 */
async function furnish(page) {
  const have = async (/** @type {string} */ noun) => (await ask(page, 'GET', `/${noun}`)).body.items.length
  const reseller = { name: 'Screens Reseller', kind: 'reseller', max_domains: 50 }
  if ((await have('tenants')) === 0) await ask(page, 'POST', '/tenants', reseller)
  const limits = { quota: 10 * 2 ** 30, message_size: 50 * 2 ** 20, recipients: 100 }
  const plan = { name: 'Screens Plan', limits, features: { sms: false, pop3: true } }
  if ((await have('plans')) === 0) await ask(page, 'POST', '/plans', plan)
  const person = { name: 'screens', role: 'domain-admin', scope: ['domain:example.test'] }
  if ((await have('people')) === 1) await ask(page, 'POST', '/people', person)
}

/** @param {Page} page */
async function violations(page) {
  await page.evaluate(axe)
  const found = await page.evaluate(async (tags) => {
    // @ts-expect-error axe has just been put there
    const result = await window.axe.run(document, { runOnly: tags })
    return result.violations.map((/** @type {import('axe-core').Result} */ v) => ({
      rule: v.id,
      help: v.help,
      at: v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200)),
    }))
  }, rules)
  return found
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

/** @param {Page} page */
async function noWider(page) {
  const { wide, room } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth,
    room: document.documentElement.clientWidth,
  }))
  assert.ok(wide <= room, `the page is ${wide} px wide on ${room} px`)
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
})
