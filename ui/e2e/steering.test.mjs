// Steering in a real browser against a real fleet: a server that joins, a
// reboot that wants the right name, a rolling restart that stops and undoes.
// AGENT is the agent's program, bin/mailfleet-agent without it.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { launch, onScreen, patience, picture, profile, ask as request, servers, signIn } from './console.mjs'

/** @typedef {import('playwright-core').Page} Page */

const agent = resolve(process.env.AGENT ?? '../bin/mailfleet-agent')
const run = promisify(execFile)
const mark = Date.now().toString(36)

/** @type {import('playwright-core').Browser} */
let browser
/** @type {import('./console.mjs').State} */
let state
/** @type {{name: string, address: string, id: string}[]} */
let fleet = []
/** What undoes what the tests made, last first. @type {(() => Promise<unknown>)[]} */
const undo = []

before(async () => {
  browser = await launch()
  const { context, page } = await profile(browser)
  await signIn(page)
  state = await context.storageState()
  fleet = (await ask(page, 'GET', '/servers?state=up')).items
  assert.ok(fleet.length >= 3, 'three servers are up')
  await context.close()
})

after(async () => {
  for (const fn of undo.reverse()) await fn()
  await browser.close()
})

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

/**
 * @param {string} path
 * @param {(page: Page) => Promise<void>} fn
 */
const on = (path, fn) => onScreen(browser, { state }, path, fn)

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
 * Runs an agent that joins with a line of the console, until the tests end.
 * @param {string} line
 */
async function joinWith(line) {
  const dir = await mkdtemp(join(tmpdir(), 'mailfleet-e2e-'))
  undo.push(() => rm(dir, { recursive: true, force: true }))
  const [program, ...args] = line.trim().split(/\s+/)
  assert.equal(program, 'mailfleet-agent')
  await run(agent, [...args, '--dir', dir])
  const child = spawn(
    agent,
    ['run', '--dir', dir, '--stop-services', '--mailnode', agent.replace(/agent$/, 'mailnode')],
    {
      stdio: 'ignore',
    },
  )
  undo.push(async () => {
    if (child.exitCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  })
}

describe('steering', () => {
  test('the wizard waits until a server has really joined', () =>
    on('/', async (page) => {
      const name = `e2e-${mark}`
      const address = (fleet[0]?.address ?? '').replace(/\d+$/, '99')
      await page.getByRole('button', { name: '添加服务器' }).click()
      const dialog = page.getByRole('dialog', { name: '添加服务器' })
      await dialog.getByLabel(/名称/).fill(name)
      await dialog.getByLabel(/地址/).fill(address)
      await dialog.getByLabel(/区域/).fill('hk')
      await dialog.getByRole('button', { name: '添加', exact: true }).click()
      const line = await dialog.locator('.command').textContent()
      undo.push(() => aside((p) => ask(p, 'DELETE', `/servers/${name}`)))
      await dialog.getByText('等待代理加入…').waitFor()
      await picture(page, 'wizard-light-zh')
      await joinWith(line ?? '')
      await dialog.getByText('代理已加入').waitFor()
      await dialog.getByText('体检完成').waitFor()
      await dialog.getByText('采样已到').waitFor()
      await picture(page, 'wizard-done-light-zh')
      await dialog.getByRole('button', { name: `查看 ${name}` }).click()
      await page.getByRole('heading', { level: 1, name }).waitFor()
    }))

  test('a reboot with the wrong name is refused, and nothing happens', async () => {
    const server = fleet.at(-1)
    assert.ok(server)
    await on(`/servers/${server.name}`, async (page) => {
      const before = await ask(page, 'GET', `/servers/${server.id}`)
      const ended = await ask(page, 'GET', `/operations?server=${server.id}`)
      await page.getByRole('button', { name: `重启: ${server.name}` }).click()
      const dialog = page.getByRole('dialog', { name: `重启服务器 ${server.name}` })
      await dialog.getByRole('region', { name: '影响' }).waitFor()
      const override = dialog.getByLabel('仍然执行')
      for (const box of await override.all()) await box.check()
      await dialog.getByLabel(new RegExp(`输入 ${server.name} 以确认`)).fill('another')
      const refused = page.waitForResponse((r) => r.url().endsWith('/operations') && r.request().method() === 'POST')
      await dialog.getByRole('button', { name: '重启' }).click()
      assert.equal((await refused).status(), 422)
      await dialog.locator('input[name=confirm][aria-invalid=true]').waitFor()
      await dialog.getByText(/请求编号/).waitFor()
      await picture(page, 'confirm-light-zh')
      const now = await ask(page, 'GET', `/operations?server=${server.id}`)
      assert.equal(now.items.length, ended.items.length)
      assert.equal((await ask(page, 'GET', `/servers/${server.id}`)).boot_id, before.boot_id)

      await dialog.getByLabel(new RegExp(`输入 ${server.name} 以确认`)).fill(server.name)
      await dialog.getByRole('button', { name: '重启' }).click()
      await dialog.waitFor({ state: 'detached' })
      const row = page.getByRole('table', { name: '操作记录' }).locator('tbody tr').first()
      await row.getByRole('link', { name: `重启服务器 ${server.name}` }).waitFor()
      await row.locator('[data-state=succeeded]').waitFor()
      assert.notEqual((await ask(page, 'GET', `/servers/${server.id}`)).boot_id, before.boot_id)
    })
  })

  test('a rolling restart stops at a server that fails, and undoes what it opened', async () => {
    const name = `roll-${mark}`
    const [first, second, third] = fleet
    assert.ok(first && second && third)
    await aside(async (page) => {
      for (const s of [first, second, third]) {
        const made = await ask(page, 'POST', '/services', { server: s.id, name, command: ['/bin/sleep', '100000'] })
        undo.push(() => aside((p) => ask(p, 'DELETE', `/services/${made.id}`)))
        if (s !== second) continue
        await running(page, made.id)
        // What it runs now goes on; its next start will fail.
        const config = { command: ['/bin/sh', '-c', 'echo no configuration; exit 3'] }
        await ask(page, 'PATCH', `/services/${made.id}`, { config })
      }
    })
    await on('/services', async (page) => {
      for (const s of [first, second, third])
        await page
          .getByRole('row', { name: new RegExp(s.name) })
          .locator('td', { hasText: '运行中' })
          .nth(1)
          .waitFor()
      await page.getByRole('checkbox', { name: `选择所有 ${name}` }).check()
      await page.getByText('已选 3 个服务').waitFor()
      await picture(page, 'bulk-light-zh')
      await page.getByRole('region', { name: '对所选的操作' }).getByRole('button', { name: '重启' }).click()
      const dialog = page.getByRole('dialog', { name: '重启服务（3 个目标）' })
      await dialog.getByLabel('健康观察（秒）').fill('1')
      await dialog.getByText(/目标（3）/).waitFor()
      await picture(page, 'rolling-light-zh')
      await dialog.getByRole('button', { name: '重启' }).click()

      await page.getByRole('heading', { level: 1, name: '重启服务（3 个目标）' }).waitFor()
      await page.locator('.facts [data-state=failed]').waitFor()
      await page.locator('.notice', { hasText: '已停止' }).waitFor()
      const steps = page.getByRole('table', { name: '步骤' }).locator('tbody tr')
      const restarts = steps.filter({ has: page.getByRole('cell', { name: '重启', exact: true }) })
      const ends = await restarts.locator('.state').evaluateAll((all) => all.map((s) => s.getAttribute('data-state')))
      assert.deepEqual(ends, ['succeeded', 'failed', 'cancelled'])
      const undone = page.getByRole('table', { name: '已回退' }).locator('tbody tr', { hasText: second.name })
      await undone.locator('[data-state=succeeded]').first().waitFor()
      await picture(page, 'failed-operation-light-zh')
      const drained = (await ask(page, 'GET', `/services?name=${name}`)).items.filter(
        (/** @type {{drained: boolean}} */ s) => s.drained,
      )
      assert.deepEqual(drained, [], 'nothing is left drained')
    })
  })

  test('a log is followed as it is written', async () => {
    const name = `tick-${mark}`
    const [first] = fleet
    assert.ok(first)
    await aside(async (page) => {
      const command = ['/bin/sh', '-c', 'i=0; while true; do i=$((i+1)); echo tick $i; sleep 1; done']
      const made = await ask(page, 'POST', '/services', { server: first.id, name, command })
      undo.push(() => aside((p) => ask(p, 'DELETE', `/services/${made.id}`)))
      await running(page, made.id)
    })
    await on(`/servers/${first.name}`, async (page) => {
      const row = page.getByRole('table', { name: '服务' }).locator('tbody tr', { hasText: name })
      await row.getByRole('button', { name: '日志' }).click()
      const log = page.locator('dialog .log')
      await log.getByText(/tick 2\b/).waitFor()
      const seen = Number(/tick (\d+)\s*$/.exec((await log.textContent()) ?? '')?.[1])
      await log.getByText(new RegExp(`tick ${seen + 3}\\b`)).waitFor()
      await page.getByText('实时跟随').waitFor()
    })
  })

  test('the three servers are as they were', () =>
    on('/', async (page) => {
      for (const fn of undo.splice(0).reverse()) await fn()
      for (let i = 0; i < 3; i++) await servers(page).nth(i).waitFor()
    }))
})

/**
 * Waits until a service runs.
 * @param {Page} page
 * @param {string} id
 */
async function running(page, id) {
  const end = Date.now() + patience
  while ((await ask(page, 'GET', `/services/${id}`)).state !== 'running') {
    assert.ok(Date.now() < end, `service ${id} runs`)
    await page.waitForTimeout(200)
  }
}
