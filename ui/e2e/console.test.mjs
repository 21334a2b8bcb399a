// The console in a real browser against a real controller with three servers.
// Run by `npm run e2e`; console.mjs says what it needs to know.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { launch, onScreen, profile, servers, signIn, target, visit } from './console.mjs'

/** @typedef {import('playwright-core').Page} Page */

const ruleName = `e2e ${Date.now()}`

/** @type {import('playwright-core').Browser} */
let browser
/** @type {import('./console.mjs').State} */
let state
/** The first server's name. */
let server = ''

before(async () => {
  browser = await launch()
  const { context, page } = await profile(browser)
  await signIn(page)
  state = await context.storageState()
  server = (await servers(page).first().getAttribute('data-server')) ?? ''
  await context.close()
})

after(() => browser.close())

/**
 * Runs fn on a screen of the signed-in console and looks at what the page complained of.
 * @param {string} path
 * @param {(page: Page) => Promise<void>} fn
 */
const on = (path, fn) => onScreen(browser, { state }, path, fn)

/**
 * Marks the page, so that a reload would show.
 * @param {Page} page
 */
async function mark(page) {
  await page.evaluate(() => document.body.setAttribute('data-marked', ''))
  return () => page.locator('body[data-marked]').waitFor({ timeout: 5000 })
}

describe('the console', () => {
  test('lets the operator in to where they wanted to go, and a wrong password nowhere', async () => {
    const { context, page, complaints } = await profile(browser)
    await page.goto(`${target.url}/contacts`)
    await page.locator('input[name=user]').fill(target.user)
    await page.locator('input[name=password]').fill('not the password')
    await page.locator('button[type=submit]').click()
    await page.getByText('用户名或密码不正确').waitFor()
    await page.locator('input[name=password]').fill(target.password)
    await page.locator('button[type=submit]').click()
    await page.getByRole('heading', { level: 1, name: '联系人' }).waitFor()
    assert.deepEqual(complaints, [])
    await context.close()
  })

  test('asks no other host for anything', async () => {
    const { context, page } = await profile(browser, { state })
    /** @type {Set<string>} */
    const hosts = new Set()
    page.on('request', (r) => hosts.add(new URL(r.url()).host))
    await visit(page, '/')
    await visit(page, `/servers/${server}`)
    assert.deepEqual([...hosts], [new URL(target.url).host])
    await context.close()
  })

  test('shows three servers with fresh figures', () =>
    on('/', async (page) => {
      for (let i = 0; i < 3; i++) {
        const row = servers(page).nth(i)
        await row.locator('td[data-label=CPU]:not([data-stale])', { hasText: '%' }).waitFor()
        await row.locator('td[data-label=流入]', { hasText: '/s' }).waitFor()
      }
    }))

  test('draws charts that are not empty', () =>
    on(`/servers/${server}`, async (page) => {
      const titles = await page.locator('.chart figcaption').allTextContents()
      for (const title of ['CPU', '负载', '内存', '磁盘已用', '网络流量']) assert.ok(titles.includes(title), title)
      const legend = page.locator('.chart', { hasText: 'CPU' }).first().locator('.u-value')
      assert.match((await legend.allTextContents()).join(' '), /\d%/)
      const drawn = await page.locator('.chart canvas').evaluateAll((all) =>
        all.map((c) => {
          const canvas = /** @type {HTMLCanvasElement} */ (c)
          const data = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? []
          let colourful = 0
          for (let i = 0; i < data.length; i += 4) {
            const [r = 0, g = 0, b = 0, a = 0] = data.slice(i, i + 4)
            if (a > 100 && Math.max(r, g, b) - Math.min(r, g, b) > 60) colourful++
          }
          return colourful
        }),
      )
      assert.ok(drawn.filter((n) => n > 0).length >= 5, `coloured pixels of the charts: ${drawn}`)
    }))

  test('stops and starts a service; both states arrive without reload', () =>
    on(`/servers/${server}`, async (page) => {
      const samePage = await mark(page)
      const row = page.getByRole('table', { name: '服务' }).locator('tbody tr', { hasText: 'mailnode' })
      await row.locator('[data-state=running]').waitFor()
      await row.getByRole('button', { name: '停止' }).click()
      const dialog = page.getByRole('dialog', { name: `停止 ${server} 上的 mailnode` })
      await dialog.getByLabel(/原因/).fill('e2e')
      await dialog.getByRole('button', { name: '停止' }).click()
      await row.locator('[data-state=stopped]').waitFor()
      await row.getByRole('button', { name: '启动' }).click()
      await row.locator('[data-state=running]').waitFor()
      const operations = page.getByRole('table', { name: '操作记录' })
      for (const what of ['停止', '启动'])
        await operations
          .locator('tbody tr', { hasText: `${what} ${server} 上的 mailnode` })
          .first()
          .locator('[data-state=succeeded]')
          .waitFor()
      await samePage()
    }))

  test('shows what a service wrote', () =>
    on(`/servers/${server}`, async (page) => {
      await page.getByRole('button', { name: '日志' }).first().click()
      await page.locator('dialog .log').waitFor()
      assert.notEqual((await page.locator('dialog .log').textContent())?.trim(), '')
      await page.keyboard.press('Escape')
      await page.locator('dialog').waitFor({ state: 'detached' })
    }))

  test('a threshold that is crossed becomes an alert and a text message, and is taken with one tap', async () => {
    await on('/rules', async (page) => {
      await page.getByRole('button', { name: '新建规则' }).first().click()
      const dialog = page.getByRole('dialog')
      await dialog.getByLabel(/名称/).fill(ruleName)
      await dialog.getByLabel(/指标/).fill('load_load1')
      await dialog.getByLabel(/比较/).selectOption('>=')
      await dialog.getByLabel(/阈值/).fill('0')
      await dialog.getByLabel(/持续时间/).selectOption('0')
      await dialog.getByLabel(/级别/).selectOption('critical')
      await dialog.getByRole('button', { name: '保存' }).click()
      await page.getByRole('cell', { name: ruleName, exact: true }).waitFor()
    })
    let alertId = ''
    await on('/alerts', async (page) => {
      const samePage = await mark(page)
      const alert = page.locator('.alert', { hasText: `${server} · ${ruleName}` })
      await alert.waitFor()
      alertId = (await alert.getAttribute('data-alert')) ?? ''
      await alert.getByRole('button').click()
      await alert.getByText(/已接手/).waitFor()
      assert.equal(await page.getByRole('dialog').count(), 0)
      await samePage()
    })
    await on('/sms', async (page) => {
      const text = page.locator('tbody tr').filter({ has: page.locator(`[data-alert="${alertId}"]`) })
      await text.first().locator('[data-state=sent], [data-state=delivered]').waitFor()
    })
    await on('/rules', async (page) => {
      await page.getByRole('button', { name: `删除: ${ruleName}` }).click()
      await page.getByRole('dialog').getByRole('button', { name: '删除' }).click()
      await page.getByRole('cell', { name: ruleName, exact: true }).waitFor({ state: 'detached' })
    })
    await on('/alerts', async (page) => {
      await page.locator('.alert', { hasText: ruleName }).first().waitFor({ state: 'detached' })
    })
  })

  test('what the API complains of stands beside its field', () =>
    on('/rules', async (page) => {
      await page.getByRole('button', { name: '新建规则' }).first().click()
      const dialog = page.getByRole('dialog')
      await dialog.getByLabel(/名称/).fill('bad')
      await dialog.getByLabel(/指标/).fill('not a metric!')
      await dialog.getByLabel(/阈值/).fill('1')
      await dialog.getByRole('button', { name: '保存' }).click()
      await dialog.locator('input[name=metric][aria-invalid=true]').waitFor()
      await dialog.getByText(/请求编号/).waitFor()
    }))

  test('keeps a complete audit log', () =>
    on('/audit', async (page) => {
      await page.getByText(/链完整/).waitFor()
      await page.getByRole('cell', { name: 'rule.delete' }).first().waitFor()
      await page.getByLabel('动作').fill('rule.create')
      await page.keyboard.press('Enter')
      await page.waitForFunction(() => !document.querySelector('main')?.textContent?.includes('rule.delete'))
      await page.getByRole('cell', { name: 'rule.create' }).first().waitFor()
    }))

  test('says when it is cut off, shows nothing as fresh, and resumes by itself', () =>
    on('/', async (page) => {
      await page.locator('.stream[data-freshness=live]').waitFor()
      await page.context().setOffline(true)
      await page.getByText(/当前显示的数据可能已过期/).waitFor()
      await page.waitForFunction(() => !document.querySelector('main .state[data-tone=good]'))
      await page.context().setOffline(false)
      await page.getByText(/当前显示的数据可能已过期/).waitFor({ state: 'detached' })
      await servers(page).first().locator('.state[data-tone=good]').first().waitFor()
    }))

  test('is worked by keyboard alone', () =>
    on('/', async (page) => {
      await page.keyboard.press('/')
      await page.keyboard.type(server)
      await page.waitForFunction(() => document.querySelectorAll('tr[data-server]').length === 1)
      const link = servers(page).first().getByRole('link')
      for (let i = 0; i < 30 && !(await link.evaluate((el) => el === document.activeElement)); i++)
        await page.keyboard.press('Tab')
      await page.keyboard.press('Enter')
      await page.getByRole('heading', { level: 1, name: server }).waitFor()
    }))

  test('speaks the language and wears the theme that were chosen, after a reload too', () =>
    on('/', async (page) => {
      await page.getByRole('button', { name: 'English' }).click()
      await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()
      await page.getByRole('button', { name: /switch to light/ }).click()
      await page.getByRole('button', { name: /switch to dark/ }).click()
      await page.locator('html[data-mantine-color-scheme=dark][lang=en]').waitFor()
      await page.reload()
      await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()
      await page.locator('html[data-mantine-color-scheme=dark][lang=en]').waitFor()
    }))

  test('signing out ends the session', async () => {
    const { context, page } = await profile(browser)
    await signIn(page)
    await page.getByRole('button', { name: '退出登录' }).click()
    await page.locator('input[name=user]').waitFor()
    await page.reload()
    await page.locator('input[name=user]').waitFor()
    await context.close()
  })
})
