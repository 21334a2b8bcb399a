// Every screen, in both themes and languages: axe finds nothing (WCAG 2.2 AA),
// nothing is wider than a phone, no English is left in Chinese, and with
// SCREENSHOTS=folder each is pictured.
//
// A screen is loaded once in each language. It is then worn in both themes and at
// all widths as it is for a reader who turns the phone, or whose system gets dark:
// the page stays. What axe looks at is the same page but for what the look
// changes, so all rules are asked where the layout or the language is another, and
// those about colours where only the theme is.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  ask,
  desktop,
  launch,
  phone,
  picture,
  profile,
  screens,
  servers,
  signIn,
  tablet,
  target,
  violations,
  visit,
} from './console.mjs'

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('./console.mjs').Theme} Theme */
/** @typedef {import('./console.mjs').Language} Language */

/** @type {import('playwright-core').Browser} */
let browser
/** @type {import('./console.mjs').State} */
let state
/** @type {[name: string, path: string][]} */
let all
/** The name of a server that is up. */
let chosen = ''
/** What people wrote: why they did something, and what they called it. @type {string[]} */
const written = []

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
  for (const noun of ['operations', 'windows', 'rules', 'sms', 'audit'])
    for (const { reason, name, text } of (await ask(page, 'GET', `/${noun}?limit=200`)).body.items)
      written.push(...[reason, name, text].filter(Boolean))
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

/** @typedef {{theme: Theme, width: number, height: number, picture?: string, axe?: 'all' | 'colours'}} Worn */

/**
 * How each screen is worn, each different in one thing from the one before.
 * @param {Language} language
 * @returns {Worn[]}
 */
const looks = (language) => [
  { theme: 'light', ...desktop, picture: `light-${language}`, axe: 'all' },
  { theme: 'light', ...tablet },
  { theme: 'light', ...phone, picture: `light-${language}-phone`, ...(language === 'zh' && { axe: 'all' }) },
  { theme: 'dark', ...phone, picture: `dark-${language}-phone`, ...(language === 'zh' && { axe: 'colours' }) },
  { theme: 'dark', ...desktop, picture: `dark-${language}`, ...(language === 'zh' && { axe: 'colours' }) },
]

/**
 * Wears a page in a look, and waits until it is drawn.
 * @param {Page} page
 * @param {Worn} look
 */
async function wear(page, { theme, width, height }) {
  await page.emulateMedia({ colorScheme: theme })
  await page.setViewportSize({ width, height })
  await page.evaluate(
    (dark) =>
      new Promise((drawn) => {
        const look = () =>
          (document.documentElement.dataset.mantineColorScheme === 'dark') === dark
            ? requestAnimationFrame(() => requestAnimationFrame(drawn))
            : requestAnimationFrame(look)
        look()
      }),
    theme === 'dark',
  )
}

/**
 * Wears a page in every look and returns what is wrong with it.
 * @param {Page} page
 * @param {string} name
 * @param {Language} language
 */
async function wrongs(page, name, language) {
  /** @type {unknown[]} */
  const found = []
  for (const look of looks(language)) {
    await wear(page, look)
    const at = `${look.theme}, ${look.width} px`
    if (look.axe) for (const v of await violations(page, look.axe === 'colours')) found.push({ at, ...v })
    if (look.picture) await picture(page, `${name}-${look.picture}`)
    const { wide, room } = await page.evaluate(() => ({
      wide: document.documentElement.scrollWidth,
      room: document.documentElement.clientWidth,
    }))
    if (wide > room) found.push({ at, wide, room })
  }
  if (language === 'zh') for (const text of await english(page)) found.push({ english: text })
  return found
}

/**
 * The English sentences on a page, four words after each other, but for what
 * people and programs other than ours wrote.
 * @param {Page} page
 */
async function english(page) {
  const found = await page.evaluate(() => {
    const others =
      'script, style, noscript, code, pre, kbd, input, textarea, option, .command, .log, [lang=en] *, main [lang=en]'
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    /** @type {Set<string>} */
    const sentences = new Set()
    for (let n = texts.nextNode(); n; n = texts.nextNode()) {
      const text = n.nodeValue ?? ''
      if (/\b[A-Za-z]+( [a-z]+){3}/.test(text) && !n.parentElement?.closest(others)) sentences.add(text)
    }
    return [...sentences]
  })
  return found.filter((text) => !written.some((w) => text.includes(w)))
}

describe('every screen', { concurrency: 2 }, () => {
  for (const language of /** @type {const} */ (['zh', 'en']))
    test(`passes axe and fits every width, light and dark, ${language}`, async () => {
      /** @type {Record<string, unknown>} */
      const found = {}
      const stranger = await profile(browser, { language })
      await stranger.page.goto(target.url)
      await stranger.page.locator('input[name=user]').waitFor()
      found['sign-in'] = await wrongs(stranger.page, 'sign-in', language)
      await stranger.context.close()

      const { context, page, complaints } = await profile(browser, { language, state })
      for (const [name, path] of all) {
        await wear(page, looks(language)[0] ?? assert.fail('there is a look'))
        await visit(page, path)
        found[name] = await wrongs(page, name, language)
      }
      assert.deepEqual(complaints, [])
      await context.close()
      const wrong = Object.entries(found).filter(([, list]) => !Array.isArray(list) || list.length > 0)
      assert.deepEqual(Object.fromEntries(wrong), {})
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

  test('passes axe where one steers, light and dark', async () => {
    const { context, page, complaints } = await profile(browser, { state, ...desktop })
    await visit(page, `/servers/${chosen}`)
    const services = page.getByRole('table', { name: '服务' })
    const both = async (/** @type {string} */ name) => {
      assert.deepEqual(await violations(page), [], name)
      assert.deepEqual(await english(page), [], name)
      await picture(page, `${name}-light-zh`)
      await wear(page, { theme: 'dark', ...desktop })
      assert.deepEqual(await violations(page, true), [], `${name}, dark`)
      await picture(page, `${name}-dark-zh`)
      await wear(page, { theme: 'light', ...desktop })
    }
    /**
     * @param {string} name
     * @param {import('playwright-core').Locator} ready
     */
    const look = async (name, ready) => {
      await ready.first().waitFor()
      await both(name)
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
    await both('bulk-bar')
    assert.deepEqual(complaints, [])
    await context.close()
  })
})
