import { expect, test } from 'vitest'
import { daily, dayBefore } from './data'

test('a day without mail is nothing sent, and no gap', () => {
  const none = { in: 0, in_bytes: 0, out: 0, out_bytes: 0, failed: 0 }
  const entries = [
    { ...none, day: '2026-02-28', in: 3 },
    { ...none, day: '2026-03-02', in: 5 },
  ]
  const first = Date.parse('2026-02-28') / 1000
  expect(daily(entries, 'in', '2026-02-28', '2026-03-02')).toEqual([
    [first, 3],
    [first + 86_400, 0],
    [first + 2 * 86_400, 5],
  ])
})

test('days are of UTC', () => {
  expect(dayBefore(Date.parse('2026-03-01T23:30:00-05:00'), 0)).toBe('2026-03-02')
  expect(dayBefore(Date.parse('2026-03-01T00:00:00Z'), 1)).toBe('2026-02-28')
})
