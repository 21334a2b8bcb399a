// Prints the console's JavaScript after gzip and fails above the budget of
// DESIGN §6. With --json it prints {files: [{name, bytes}], total, budget}.
import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const budget = 200 * 1024
const folder = new URL('./dist/console/assets/', import.meta.url)

const files = readdirSync(folder)
  .filter((name) => name.endsWith('.js'))
  .map((name) => ({ name, bytes: gzipSync(readFileSync(new URL(name, folder)), { level: 9 }).length }))
  .sort((a, b) => b.bytes - a.bytes)
const total = files.reduce((sum, f) => sum + f.bytes, 0)

if (process.argv.includes('--json')) {
  console.log(JSON.stringify({ files, total, budget }))
} else {
  const kib = (/** @type {number} */ n) => `${(n / 1024).toFixed(1).padStart(7)} KiB`
  for (const f of files) console.log(kib(f.bytes), f.name)
  console.log(kib(total), `of ${kib(budget).trim()}, gzip`)
}
if (total > budget) process.exitCode = 1
