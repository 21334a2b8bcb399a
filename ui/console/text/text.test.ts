import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { kinds } from '../operations/kinds'
import en from './en.json'
import { knownMetrics } from './metrics'
import zh from './zh.json'

type Tree = { [key: string]: string | Tree }

/** All keys, dotted; the plural forms of one key count once. */
function keys(tree: Tree, prefix = ''): Map<string, string> {
  const found = new Map<string, string>()
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === 'string') found.set(prefix + key.replace(/_(one|other)$/, ''), value)
    else for (const [k, v] of keys(value, `${prefix}${key}.`)) found.set(k, v)
  }
  return found
}

const chinese = keys(zh)
const english = keys(en)

test('both languages have the same texts', () => {
  expect([...chinese.keys()].sort()).toEqual([...english.keys()].sort())
})

test('a text fills in the same values in both languages', () => {
  const values = (text: string) => [...text.matchAll(/\{\{(\w+)\}\}/g)].map((m) => m[1]).sort()
  for (const [key, text] of chinese) expect(values(text), key).toEqual(values(english.get(key) ?? ''))
})

/** All sources of the console that are not tests. */
const sources = readdirSync(join(import.meta.dirname, '..'), { recursive: true, encoding: 'utf8' })
  .filter((f) => /\.tsx?$/.test(f) && !f.includes('.test.'))
  .map((f) => readFileSync(join(import.meta.dirname, '..', f), 'utf8'))
  .join('\n')

/** The keys that the sources name; a ${…} in one stands for anything. */
const named = [...sources.matchAll(/['`]([a-zA-Z]+(?:\.(?:[\w-]|\$\{[^}]+\})+)+)['`]/g)].map((m) => m[1] ?? '')
const pattern = (key: string) => new RegExp(`^${key.replace(/\$\{[^}]+\}/g, '[\\w.-]+').replace(/\./g, '\\.')}$`)

test('every text that is asked for is there', () => {
  const sections = new Set(Object.keys(zh))
  const kindNames: string[] = kinds // of operations; sections begin alike
  const asked = named.filter((k) => sections.has(k.split('.')[0] ?? '') && !kindNames.includes(k))
  expect(asked.length).toBeGreaterThan(100)
  for (const key of asked) {
    const re = pattern(key)
    expect(
      [...chinese.keys()].some((k) => re.test(k)),
      key,
    ).toBe(true)
  }
})

test('no text is left that nothing asks for', () => {
  const patterns = named.map(pattern)
  const unused = [...chinese.keys()].filter((k) => !patterns.some((p) => p.test(k)))
  expect(unused).toEqual([])
})

test('every metric the agents send has a name', () => {
  for (const m of knownMetrics) expect(chinese.has(`metric.${m}`), m).toBe(true)
})
