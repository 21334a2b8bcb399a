import { describe, expect, test } from 'vitest'
import { actorName, byName, Format, moment, seconds } from './format'

const zh = new Format('zh')
const en = new Format('en')
const now = Date.UTC(2026, 4, 1, 12)

describe('numbers', () => {
  test.each([
    [0, '0 B'],
    [1023, '1,023 B'],
    [1024, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [200 * 2 ** 20, '200 MiB'],
    [16 * 2 ** 30, '16.0 GiB'],
    [3 * 2 ** 60, '3,072 PiB'],
    [-1536, '-1.5 KiB'],
  ])('%d bytes are %s in both languages', (n, text) => {
    expect(zh.bytes(n)).toBe(text)
    expect(en.bytes(n)).toBe(text)
  })

  test('a rate is bytes a second', () => {
    expect(en.rate(1536)).toBe('1.5 KiB/s')
  })

  test('small percentages keep a decimal', () => {
    expect(en.percent(3.14)).toBe('3.1%')
    expect(en.percent(93.4)).toBe('93%')
    expect(en.percent(0)).toBe('0%')
  })

  test('a figure has the decimals it deserves', () => {
    expect([0.123, 12.34, 1234.6, 7, 1234567].map((n) => en.figure(n))).toEqual([
      '0.12',
      '12.3',
      '1,235',
      '7',
      '1,234,567',
    ])
  })
})

test('names are ordered by their numbers', () => {
  expect(['mail-10', 'mail-2', 'mail-1'].sort(byName)).toEqual(['mail-1', 'mail-2', 'mail-10'])
})

describe('times', () => {
  test.each([
    [0, '0 秒', '0 s'],
    [59, '59 秒', '59 s'],
    [90, '1 分 30 秒', '1 min 30 s'],
    [3600, '1 小时', '1 h'],
    [7290, '2 小时 1 分', '2 h 1 min'],
    [90_000, '1 天 1 小时', '1 d 1 h'],
    [86_460, '1 天', '1 d'],
  ])('%d seconds are %s or %s', (secs, chinese, english) => {
    expect(zh.duration(secs)).toBe(chinese)
    expect(en.duration(secs)).toBe(english)
  })

  test.each([
    [-300, '5 分钟前', '5 min ago'],
    [-7300, '2 小时前', '2 h ago'],
    [3 * 86_400, '3 天后', 'in 3 d'],
    [0, '刚刚', 'now'],
  ])('%d seconds from now are %s or %s', (secs, chinese, english) => {
    expect(zh.ago(now + secs * 1000, now)).toBe(chinese)
    expect(en.ago(now + secs * 1000, now)).toBe(english)
  })

  test('an absolute time is the same in both languages and sorts as it reads', () => {
    const local = new Date(2026, 4, 1, 9, 5, 7).getTime()
    expect(en.time(local)).toBe('2026-05-01 09:05:07')
    expect(zh.time(local)).toBe(en.time(local))
    expect(en.clock(local)).toBe('09:05')
    expect(en.day(local)).toBe('05-01')
  })
})

describe('what Go writes', () => {
  test('its zero time is no moment', () => {
    expect(moment('0001-01-01T00:00:00Z')).toBeUndefined()
    expect(moment('')).toBeUndefined()
    expect(moment(undefined)).toBeUndefined()
    expect(moment('2026-05-01T12:00:00Z')).toBe(now)
  })

  test.each([
    ['1m30s', 90],
    ['2h0m0s', 7200],
    ['1.5s', 1.5],
    ['500ms', 0.5],
    ['0s', 0],
    ['nonsense', 0],
    [90, 90],
  ])('the duration %s is %d seconds', (d, secs) => {
    expect(seconds(d)).toBeCloseTo(secs)
  })

  test('an actor is called by name', () => {
    expect(actorName('operator:admin')).toBe('admin')
    expect(actorName('controller')).toBe('controller')
  })
})
