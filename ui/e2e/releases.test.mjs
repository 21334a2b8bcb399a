// Releases in a real browser against a real fleet: a signed program is uploaded,
// a service is upgraded to it from the page, and one whose signature does not
// hold is refused. CONTROLLER is the controller's program, beside AGENT without it.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { ask, launch, patience, picture, profile, signIn, visit } from './console.mjs'

/** @typedef {import('playwright-core').Page} Page */

const agent = process.env.AGENT ?? '../bin/mailfleet-agent'
const controller = resolve(process.env.CONTROLLER ?? agent.replace(/agent$/, 'controller'))
const run = promisify(execFile)
const name = `site-${Date.now().toString(36)}`

/** @type {import('playwright-core').Browser} */
let browser
/** @type {import('./console.mjs').State} */
let state
/** The directory of the programs that are made. */
let dir = ''
/** The servers that run the service. @type {{id: string, name: string}[]} */
let fleet = []
/** @type {string[]} */
const made = []

before(async () => {
  assert.ok(process.env.DEV_JSON, 'the release key of a dev fleet is needed: set DEV_JSON')
  dir = await mkdtemp(join(tmpdir(), 'mailfleet-releases-'))
  browser = await launch()
  const { context, page } = await profile(browser)
  await signIn(page)
  state = await context.storageState()
  fleet = (await ask(page, 'GET', '/servers?state=up')).body.items.slice(0, 2)
  const old = await program('1.0')
  for (const { id } of fleet) {
    const { status, body } = await ask(page, 'POST', '/services', { server: id, name, command: [old] })
    assert.equal(status, 201, JSON.stringify(body))
    made.push(body.id)
    await eventually(page, body.id, (s) => s.state === 'running')
  }
  await context.close()
})

after(async () => {
  const { context, page } = await profile(browser, { state })
  await page.goto('about:blank')
  for (const id of made) await ask(page, 'DELETE', `/services/${id}`)
  const { body } = await ask(page, 'GET', `/releases?program=${name}`)
  for (const r of body.items) await ask(page, 'DELETE', `/releases/${r.id}`)
  await context.close()
  await browser.close()
  await rm(dir, { recursive: true, force: true })
})

/**
 * A program that says its version and runs until it is stopped; large enough that its upload takes a while.
 * @param {string} version
 */
async function program(version) {
  const file = join(dir, `${name}-${version}`)
  const lines = ['#!/bin/sh', `[ "$1" = --version ] && echo ${name} version ${version} && exit`]
  lines.push(`echo this is ${version}`, 'exec sleep 100000', `${'#'.repeat(4 << 20)}`)
  await writeFile(file, `${lines.join('\n')}\n`)
  await chmod(file, 0o755)
  return file
}

/** @param {string} version */
async function signed(version) {
  const file = await program(version)
  const key = join(dirname(process.env.DEV_JSON ?? ''), 'release.key')
  await run(controller, ['release', 'sign', file, '--key', key, '--program', name, '--version', version])
  return file
}

/**
 * @param {Page} page
 * @param {string} id
 * @param {(service: {state: string, release?: string}) => boolean} done
 */
async function eventually(page, id, done) {
  const end = Date.now() + patience
  while (!done((await ask(page, 'GET', `/services/${id}`)).body)) {
    assert.ok(Date.now() < end, `service ${id} is as it should be`)
    await page.waitForTimeout(200)
  }
}

/** @param {(page: Page) => Promise<void>} fn */
async function onReleases(fn) {
  const { context, page, complaints } = await profile(browser, { state })
  try {
    await visit(page, '/releases')
    await fn(page)
    assert.deepEqual(complaints, [])
  } finally {
    await context.close()
  }
}

/**
 * Fills the dialog that uploads.
 * @param {Page} page
 * @param {string} file
 * @param {string} signature
 */
async function choose(page, file, signature) {
  await page.getByRole('button', { name: '上传发行版' }).first().click()
  const dialog = page.getByRole('dialog', { name: '上传发行版' })
  await dialog.locator('input[type=file]:not([accept])').setInputFiles(file)
  await dialog.locator('input[type=file][accept]').setInputFiles(signature)
  await dialog.getByText(new RegExp(`^${name} `)).waitFor()
  return dialog
}

describe('releases', () => {
  test('one whose signature does not hold is refused, in one sentence, and not kept', () =>
    onReleases(async (page) => {
      const file = await signed('2.0')
      const forged = JSON.parse(await readFile(`${file}.release`, 'utf8'))
      await writeFile(join(dir, 'forged.release'), JSON.stringify({ ...forged, number: '3.0' }))
      const dialog = await choose(page, file, join(dir, 'forged.release'))
      await dialog.getByRole('button', { name: '上传', exact: true }).click()
      await dialog.getByRole('alert').getByText(`${name} 3.0 for ${forged.platform} 的签名无效`).first().waitFor()
      await picture(page, 'release-refused-light-zh')
      assert.deepEqual((await ask(page, 'GET', `/releases?program=${name}`)).body.items, [])
    }))

  test('a signed one is uploaded, and a service is upgraded to it', () =>
    onReleases(async (page) => {
      const file = join(dir, `${name}-2.0`)
      const dialog = await choose(page, file, `${file}.release`)
      await picture(page, 'release-upload-light-zh')
      await dialog.getByRole('button', { name: '上传', exact: true }).click()
      await dialog.waitFor({ state: 'detached' })
      const row = page.getByRole('table', { name: '发行版' }).locator('tbody tr', { hasText: name })
      await row.getByText('未使用').waitFor()

      await row.getByRole('button', { name: `升级到此版本: ${name} 2.0` }).click()
      await page
        .getByRole('dialog')
        .getByLabel(/选择器/)
        .fill(`service=${name}`)
      await page.getByRole('button', { name: '查看影响' }).click()
      const operate = page.getByRole('dialog', { name: /升级服务/ })
      await operate.getByText(/目标（2）/).waitFor()
      await operate.getByLabel('健康观察（秒）').fill('1')
      await picture(page, 'release-upgrade-light-zh')
      await operate.getByRole('button', { name: '升级', exact: true }).click()
      await page.locator('.facts [data-state=succeeded]').waitFor()

      await visit(page, '/releases')
      for (const s of fleet) await row.getByRole('link', { name: s.name }).waitFor()
      await picture(page, 'releases-used-light-zh')
      const [release] = (await ask(page, 'GET', `/releases?program=${name}`)).body.items
      for (const id of made) await eventually(page, id, (s) => s.state === 'running' && s.release === release.id)
      await page.goto(new URL(`/servers/${fleet[0]?.name}`, page.url()).href)
      const service = page.getByRole('table', { name: '服务' }).locator('tbody tr', { hasText: name })
      await service.getByRole('button', { name: '日志' }).click()
      await page.locator('dialog .log').getByText('this is 2.0').waitFor()
    }))

  test('one that a service is to run is not removed', () =>
    onReleases(async (page) => {
      await page.getByRole('button', { name: `移除: ${name} 2.0` }).click()
      const dialog = page.getByRole('dialog')
      await dialog.getByRole('button', { name: '移除', exact: true }).click()
      await dialog
        .getByRole('alert')
        .getByText(/要运行它：请先把那里升级到别的发行版/)
        .waitFor()
    }))
})
