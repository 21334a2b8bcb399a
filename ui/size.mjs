// Prints the console's JavaScript after gzip, and fails when a screen makes the
// browser load more than the budget of DESIGN §6: the libraries, what all
// screens share, and the heaviest screen with all that only it imports.
// With --json it prints {files: [{name, bytes}], screens: [{name, bytes}],
// heaviest, total, budget}.
import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const budget = 200 * 1024
const folder = new URL('./dist/console/assets/', import.meta.url)

const sources = new Map(
  readdirSync(folder)
    .filter((name) => name.endsWith('.js'))
    .map((name) => [name, readFileSync(new URL(name, folder), 'utf8')]),
)
const bytes = new Map([...sources].map(([name, text]) => [name, gzipSync(text, { level: 9 }).length]))
const sizeOf = (/** @type {Iterable<string>} */ names) => [...names].reduce((sum, n) => sum + (bytes.get(n) ?? 0), 0)

/** The files a file cannot do without, itself among them. */
function needs(/** @type {string} */ name, /** @type {Set<string>} */ seen = new Set()) {
  if (seen.has(name)) return seen
  seen.add(name)
  for (const [, other] of (sources.get(name) ?? '').matchAll(/(?:from|import)\s*["`']\.\/([^"`']+\.js)["`']/g))
    if (other) needs(other, seen)
  return seen
}

const page = readFileSync(new URL('../index.html', folder), 'utf8')
const first = new Set([...page.matchAll(/assets\/([^"]+\.js)/g)].flatMap((m) => [...needs(m[1] ?? '')]))
const files = [...bytes].map(([name, n]) => ({ name, bytes: n })).sort((a, b) => b.bytes - a.bytes)
const screens = files
  .filter((f) => !first.has(f.name))
  .map(({ name }) => ({ name, bytes: sizeOf(new Set([...first, ...needs(name)])) }))
  .sort((a, b) => b.bytes - a.bytes)
const heaviest = screens[0]?.bytes ?? sizeOf(first)
const total = sizeOf(bytes.keys())

if (process.argv.includes('--json')) {
  console.log(JSON.stringify({ files, screens, heaviest, total, budget }))
} else {
  const kib = (/** @type {number} */ n) => `${(n / 1024).toFixed(1).padStart(7)} KiB`
  for (const f of files) console.log(kib(f.bytes), f.name)
  console.log(kib(total), 'in all, gzip')
  console.log(kib(heaviest), `of ${kib(budget).trim()}: ${screens[0]?.name ?? 'the first page'} and all that it needs`)
}
if (heaviest > budget) process.exitCode = 1
