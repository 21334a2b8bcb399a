// How the browser tests reach the console and its browser. CONSOLE_URL,
// CONSOLE_USER and CONSOLE_PASSWORD say where it is; what is missing is taken
// from DEV_JSON, the file `make run` writes.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { chromium } from 'playwright-core'

/**
 * @typedef {{address: string, password: string, server: string}} User
 * @typedef {{id: string, name: string, address: string, ports: Record<string, number>}} Server
 * @typedef {{console: string, operator: {user: string, password: string}, servers: Server[], users: User[]}} Dev
 */

/** @type {Dev | undefined} */
export const dev = process.env.DEV_JSON ? JSON.parse(readFileSync(process.env.DEV_JSON, 'utf8')) : undefined

/**
 * @param {string | undefined} value
 * @param {string} name
 */
function needed(value, name) {
  if (!value) throw new Error(`set ${name}, or DEV_JSON to the dev.json of a running fleet`)
  return value
}

export const target = {
  url: needed(process.env.CONSOLE_URL ?? dev?.console, 'CONSOLE_URL').replace(/\/$/, ''),
  user: needed(process.env.CONSOLE_USER ?? dev?.operator.user, 'CONSOLE_USER'),
  password: needed(process.env.CONSOLE_PASSWORD ?? dev?.operator.password, 'CONSOLE_PASSWORD'),
}

/**
 * How long is waited for what a page or the fleet does, in ms. It says nothing of
 * how long that should take: other tests may have the processor.
 */
export const patience = 180_000

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

/**
 * @typedef {Awaited<ReturnType<import('playwright-core').BrowserContext['storageState']>>} State
 * @typedef {'light' | 'dark'} Theme
 * @typedef {'zh' | 'en'} Language
 * @typedef {{theme?: Theme, language?: Language, width?: number, height?: number, state?: State}} Look
 */

export const desktop = { width: 1360, height: 900 }
export const tablet = { width: 900, height: 900 }
export const phone = { width: 360, height: 740 }

/**
 * A new browser profile with a theme, a language and a size. It collects what
 * the page complains of: uncaught errors and violations of the policy.
 *
 * @param {import('playwright-core').Browser} browser
 * @param {Look} look
 */
export async function profile(browser, { theme = 'light', language = 'zh', width, height, state } = {}) {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: width ?? desktop.width, height: height ?? desktop.height },
    locale: language === 'zh' ? 'zh-CN' : 'en-GB',
    colorScheme: theme,
    reducedMotion: 'reduce',
    storageState: state,
  })
  context.setDefaultTimeout(patience)
  const page = await context.newPage()
  /** @type {string[]} */
  const complaints = []
  page.on('pageerror', (e) => complaints.push(e.message))
  page.on('console', (m) => {
    if (m.type() === 'error' && /Content Security Policy/.test(m.text())) complaints.push(m.text())
  })
  return { context, page, complaints }
}

/**
 * @param {import('playwright-core').Page} page
 * @param {{user: string, password: string}} who
 */
export async function signIn(page, who = target) {
  await page.goto(target.url)
  await page.locator('input[name=user]').fill(who.user)
  await page.locator('input[name=password]').fill(who.password)
  await page.locator('button[type=submit]').click()
  await page.locator('nav').first().waitFor({ state: 'attached' })
}

/**
 * Asks the API as whoever is signed in on the page.
 * @param {import('playwright-core').Page} page
 * @param {string} method
 * @param {string} path
 * @param {unknown} [data]
 */
export async function ask(page, method, path, data) {
  const base = `${target.url}/api/v1`
  const session = await (await page.request.get(`${base}/session`)).json()
  const answer = await page.request.fetch(base + path, {
    method,
    data,
    headers: { 'X-CSRF-Token': session.csrf ?? '' },
  })
  const text = await answer.text()
  return { status: answer.status(), body: text ? JSON.parse(text) : undefined }
}

/**
 * Every screen, by name. A path may need to know the fleet.
 * @param {{server: string, operation?: string, account?: string, person?: string, pool?: string}} of
 * @returns {[name: string, path: string][]}
 */
export function screens({ server, operation, account, person, pool }) {
  /** @type {[string, string][]} */
  const all = [
    ['overview', '/'],
    ['server', `/servers/${server}`],
    ['services', '/services'],
    ['releases', '/releases'],
    ['pools', '/pools'],
    ['pool', '/pools/e2e-pool'],
    ['windows', '/windows'],
    ['alerts', '/alerts?state=all'],
    ['operations', '/operations'],
    ['rules', '/rules'],
    ['contacts', '/contacts'],
    ['sms', '/sms'],
    ['domains', '/domains'],
    ['domain', '/domains/example.test'],
    ['queue', '/queue'],
    ['ledger', '/ledger'],
    ['accounts', '/accounts'],
    ['tenants', '/tenants'],
    ['plans', '/plans'],
    ['people', '/people'],
    ['tokens', '/tokens'],
    ['sessions', '/sessions'],
    ['policy', '/policy'],
    ['security', '/security'],
    ['audit', '/audit'],
    ['not-found', '/nowhere'],
  ]
  if (account) all.push(['account', `/accounts/${account}`])
  if (person) all.push(['person', `/people/${person}`])
  if (pool) all.push(['pool', `/pools/${pool}`])
  if (operation) all.splice(4, 0, ['operation', `/operations/${operation}`])
  return all
}

/**
 * Goes to a screen and waits until it shows what it has.
 * @param {import('playwright-core').Page} page
 * @param {string} path
 */
export async function visit(page, path) {
  await page.goto(target.url + path)
  await ready(page, path)
}

/**
 * @param {import('playwright-core').Page} page
 * @param {string} path
 */
export async function ready(page, path) {
  await page.locator('main h1').waitFor()
  await page.waitForFunction(() => !document.querySelector('.loading, main .mantine-Skeleton-root'))
  if (path.startsWith('/servers/')) await page.locator('.u-legend').first().waitFor()
}

/**
 * Pictures the page into SCREENSHOTS, if that is set.
 * @param {import('playwright-core').Page} page
 * @param {string} name
 */
export async function picture(page, name) {
  const folder = process.env.SCREENSHOTS
  if (!folder) return
  mkdirSync(folder, { recursive: true })
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true })
}

/**
 * The overview's rows of servers that are up and run their mailnode.
 * @param {import('playwright-core').Page} page
 */
export const servers = (page) =>
  page
    .locator('tr[data-server]')
    .filter({ has: page.locator('[data-state=up]:not([data-stale])') })
    .filter({ has: page.locator('[data-service=mailnode] [data-state=running]') })

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
/** The rules about colours, which are all that a theme changes. */
const themed = ['color-contrast', 'link-in-text-block']

/**
 * What axe finds on the page (WCAG 2.2 AA).
 * @param {import('playwright-core').Page} page
 * @param {boolean} [colours] only those
 */
export async function violations(page, colours = false) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe)
  return page.evaluate(
    async (runOnly) => {
      // @ts-expect-error axe has just been put there
      const result = await window.axe.run(document, { runOnly, resultTypes: ['violations'] })
      return result.violations.map((/** @type {import('axe-core').Result} */ v) => ({
        rule: v.id,
        help: v.help,
        at: v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200)),
      }))
    },
    colours ? themed : rules,
  )
}

/** @param {import('playwright-core').Page} page */
export async function noWider(page) {
  const { wide, room } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth,
    room: document.documentElement.clientWidth,
  }))
  assert.ok(wide <= room, `the page is ${wide} px wide on ${room} px`)
}

/**
 * Runs fn on a screen and looks at what the page complained of.
 * @param {import('playwright-core').Browser} browser
 * @param {Look} look
 * @param {string} path
 * @param {(page: import('playwright-core').Page) => Promise<void>} fn
 */
export async function onScreen(browser, look, path, fn) {
  const { context, page, complaints } = await profile(browser, look)
  try {
    await visit(page, path)
    await fn(page)
    assert.deepEqual(complaints, [])
  } finally {
    await context.close()
  }
}
