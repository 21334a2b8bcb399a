import { expect, test } from 'vitest'
import { changes } from './changes'

test('only what differs is told, down to the field', () => {
  const before = JSON.stringify({ name: 'a', version: 1, limits: { quota: 1, messages: 5 }, scope: ['domain:a'] })
  const after = JSON.stringify({ name: 'a', version: 2, limits: { quota: 2, messages: 5 }, scope: ['domain:b'] })
  expect(changes(before, after)).toEqual([
    { field: 'limits.quota', before: '1', after: '2' },
    { field: 'scope', before: '["domain:a"]', after: '["domain:b"]' },
  ])
})

test('what is made has no before, what is deleted no after', () => {
  expect(changes(undefined, '{"name":"a"}')).toEqual([{ field: 'name', before: '', after: 'a' }])
  expect(changes('{"name":"a"}', undefined)).toEqual([{ field: 'name', before: 'a', after: '' }])
})

test('what is no JSON stays as it is', () => {
  expect(changes('x', 'y')).toEqual([{ field: '', before: 'x', after: 'y' }])
})
