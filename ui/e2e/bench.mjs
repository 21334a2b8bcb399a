// Measures how much the main thread works until each screen is ready, and
// prints JSON for `make bench SUITE=console`: a list of {name, ours, unit, aim, met}.
import { execFileSync } from 'node:child_process'
import { launch, profile, ready, screens, servers, signIn, target } from './console.mjs'

/** Each screen is opened this often; the median counts. */
const rounds = 5
/** Main-thread time until ready that a screen may take here, in ms. */
const aim = 1000

/** @param {number[]} list */
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1] ?? Number.NaN

const browser = await launch()
try {
  const first = await profile(browser)
  await signIn(first.page)
  const state = await first.context.storageState()
  const server = (await servers(first.page).first().getAttribute('data-server')) ?? ''
  await first.context.close()

  /** @param {string} path */
  const once = async (path) => {
    const { context, page } = await profile(browser, { state })
    const cdp = await context.newCDPSession(page)
    await cdp.send('Performance.enable')
    await page.goto(target.url + path)
    await ready(page, path)
    const { metrics } = await cdp.send('Performance.getMetrics')
    await context.close()
    return (metrics.find((m) => m.name === 'TaskDuration')?.value ?? Number.NaN) * 1000
  }

  const results = []
  for (const [name, path] of screens({ server })) {
    /** @type {number[]} */
    const times = []
    for (let i = 0; i < rounds; i++) times.push(await once(path))
    const ours = Math.round(median(times))
    results.push({ name: `main thread until ready: ${name}`, ours, unit: 'ms', aim, met: ours <= aim })
  }

  const size = JSON.parse(execFileSync(process.execPath, ['size.mjs', '--json'], { encoding: 'utf8' }))
  const kib = (/** @type {number} */ n) => Math.round(n / 102.4) / 10
  results.push({
    name: 'JavaScript, gzip',
    ours: kib(size.heaviest),
    unit: 'KiB',
    aim: kib(size.budget),
    met: size.heaviest <= size.budget,
  })
  console.log(JSON.stringify(results, null, 2))
} finally {
  await browser.close()
}
