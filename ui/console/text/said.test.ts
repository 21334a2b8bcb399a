import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { addSayings, translate } from './language'
import said from './said.json'

const chinese: Record<string, string> = said
const root = join(import.meta.dirname, '../../..')

/** The template of a Go format, as inventory.Say makes it. */
function templateOf(format: string): string {
  let n = 0
  return format.replace(/%[-+# 0-9.]*([a-zA-Z%])/g, (_, verb) => (verb === '%' ? '%' : `{${++n}}`))
}

/** The lines of the Go sources of a folder that are not tests' and not comments. */
const linesIn = (folder: string) =>
  readdirSync(join(root, folder))
    .filter((f) => f.endsWith('.go') && !f.endsWith('_test.go'))
    .flatMap((f) => readFileSync(join(root, folder, f), 'utf8').split('\n'))
    .filter((line) => !line.trimStart().startsWith('//'))

const textsIn = (line: string) =>
  [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text = '']) => templateOf(text.replaceAll('\\"', '"')))

const words = (template: string) => template.replace(/\{\d+\}|\[%d\]/g, '').trim()

test('every sentence that is translated is one that the programs say', () => {
  const folders = [
    'inventory',
    'inventory/release',
    'inventory/zone',
    'agent/preflight',
    'controller/ops',
    'controller/rest',
  ]
  folders.push('controller/auth', 'controller/fleet', 'controller/releases')
  const all = new Set(folders.flatMap(linesIn).flatMap(textsIn))
  expect(Object.keys(chinese).filter((template) => !all.has(template))).toEqual([])
})

test('every finding, refusal of an operation and refusal of a release is translated', () => {
  const speaks = /\bsay\("|\b(?:refuse|inventory\.(?:Say|Errorf|FieldErrorf|Wrap))\(|(?:found|wanted|advice): say\(/
  const folders = ['agent/preflight', 'controller/ops', 'controller/releases', 'inventory/release', 'inventory/zone']
  const all = folders.flatMap(linesIn).filter((line) => speaks.test(line))
  const sentences = all.flatMap(textsIn).filter((text) => / /.test(words(text)))
  expect(sentences.length).toBeGreaterThan(100)
  expect([...new Set(sentences)].filter((template) => !chinese[template])).toEqual([])
})

test('a translation uses no values that the sentence has not', () => {
  const values = (text: string) => new Set([...text.matchAll(/\{(\d+)\}/g)].map((m) => m[1]))
  for (const [template, text] of Object.entries(chinese))
    expect(
      [...values(text)].filter((v) => !values(template).has(v)),
      template,
    ).toEqual([])
})

test('what is not translated is said as the program said it', () => {
  addSayings('zh', chinese)
  const release = '{1} on {2} is to run it: upgrade that to another release first'
  const params = ['mailnode', 'mail-1']
  expect(translate('zh', 'English', { template: release, params })).toMatch(/^mail-1 上的 mailnode/)
  expect(translate('en', 'English', { template: release, params })).toBe('English')
  expect(translate('zh', 'English', { template: 'never said' })).toBe('English')
  expect(translate('zh', 'English', undefined)).toBe('English')
})
