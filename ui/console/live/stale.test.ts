import { expect, test } from 'vitest'
import { staleAfter, staleSample } from './stale'

const now = Date.UTC(2026, 0, 1)
const up = { state: 'up', clock_skew: 0 } as const

test('a new sample of a server that is up, on a live stream, is fresh', () => {
  expect(staleSample('live', up, now - 1000, now)).toBeUndefined()
})

test('nothing is fresh while the stream is lost', () => {
  expect(staleSample('lost', up, now, now)).toBe('stream')
})

test('nothing of a server that is down is fresh', () => {
  expect(staleSample('live', { ...up, state: 'down' }, now, now)).toBe('server')
  expect(staleSample('live', { ...up, state: 'suspect' }, now, now)).toBeUndefined()
})

test('an old sample is stale', () => {
  expect(staleSample('live', up, now - staleAfter - 1, now)).toBe('age')
})

test('the age of a sample allows for the clock it was taken by', () => {
  const behind = { ...up, clock_skew: -7200 }
  expect(staleSample('live', behind, now - 7_200_000, now)).toBeUndefined()
  const ahead = { ...up, clock_skew: 7200 }
  expect(staleSample('live', ahead, now, now)).toBe('age')
})
