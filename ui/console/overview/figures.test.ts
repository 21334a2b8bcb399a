import { describe, expect, test } from 'vitest'
import type { Reading } from '../api/types'
import { merge } from '../live/readings'
import { figure, heat } from './figures'

const reading = (metric: string, value: number, s = 1, tags?: Record<string, string>): Reading => ({
  server: 'a',
  metric,
  tags,
  time: new Date(s * 1000).toISOString(),
  value,
})

describe('a server’s figures', () => {
  test('the CPU is what is not idle', () => {
    expect(figure(merge(new Map(), [reading('cpu_idle', 88)]), 'cpu')).toEqual({ value: 12, time: 1000 })
  })

  test('the disk is the fullest file system', () => {
    const held = merge(new Map(), [
      reading('disk_used_percent', 20, 1, { mount: '/' }),
      reading('disk_used_percent', 91, 1, { mount: '/var/mail' }),
    ])
    expect(figure(held, 'disk')?.value).toBe(91)
  })

  test('traffic is that of all interfaces but the loopback', () => {
    const sample = (s: number) =>
      ['eth0', 'eth1', 'lo'].map((i) => reading('net_bytes_recv', s * 100, s, { interface: i }))
    const held = merge(merge(new Map(), sample(1)), sample(2))
    expect(figure(held, 'received')).toEqual({ value: 200, time: 2000 })
  })

  test('what has not been sampled is no figure', () => {
    expect(figure(new Map(), 'load')).toBeUndefined()
    expect(figure(merge(new Map(), [reading('net_bytes_sent', 1)]), 'sent')).toBeUndefined()
  })
})

describe('heat', () => {
  test.each([
    [0, 0],
    [25, 1],
    [69.9, 2],
    [70, 3],
    [85, 4],
    [100, 5],
  ])('%d percent has heat %d', (value, level) => {
    expect(heat('cpu', value, 100)).toBe(level)
  })

  test('a relative figure never looks like an alarm', () => {
    expect(heat('load', 0, 0)).toBe(0)
    expect(heat('load', 8, 8)).toBe(3)
    expect(heat('received', 1, 8)).toBe(0)
  })
})
