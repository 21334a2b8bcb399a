import type { Point, Reading, Samples, Server } from '../console/api/types.ts'

const gib = 2 ** 30

/** The value of a metric at a time: smooth, different on every server. */
function value(metric: string, seed: number, time: number): number {
  const wave = (period: number) => (Math.sin((time / period + seed) * 2 * Math.PI) + 1) / 2
  const busy = 0.12 + 0.6 * wave(5400) * ((seed * 7) % 1.3) + 0.08 * wave(311)
  switch (metric) {
    case 'load_load1':
      return busy * 4
    case 'load_load5':
      return busy * 3.6
    case 'load_load15':
      return busy * 3.2
    case 'cpu_user':
      return busy * 70
    case 'cpu_system':
      return busy * 18
    case 'cpu_idle':
      return 100 - busy * 92
    case 'cpu_iowait':
      return busy * 4
    case 'mem_used_percent':
      return 35 + busy * 60
    case 'mem_used':
      return (0.35 + busy * 0.6) * 16 * gib
    case 'mem_free':
      return (0.4 - busy * 0.3) * 16 * gib
    case 'mem_total':
      return 16 * gib
    case 'mem_cached':
      return 3 * gib
    case 'swap_total':
    case 'swap_free':
      return 2 * gib
    case 'disk_total':
      return 500 * gib
    case 'disk_used':
      return (0.3 + 0.3 * seed) * 500 * gib
    case 'disk_free':
      return (0.7 - 0.3 * seed) * 500 * gib
    case 'disk_used_percent':
      return (0.3 + 0.65 * seed) * 100
    case 'disk_inodes_total':
      return 32_768_000
    case 'disk_inodes_used':
      return 1_300_000
    case 'disk_inodes_free':
      return 31_468_000
    case 'disk_inodes_used_percent':
      return 4
    default:
      return 0
  }
}

const places: Record<string, Record<string, string>[]> = {
  disk: [
    { mount: '/', device: '/dev/vda1' },
    { mount: '/var/mail', device: '/dev/vdb1' },
  ],
  net: [{ interface: 'eth0' }],
}

const seedOf = (s: Server) => (Number(s.name.match(/\d+$/)) * 0.6180339) % 1
const tagsOf = (metric: string) => places[metric.split('_')[0] ?? ''] ?? [{}]

/** Less goes out than comes in. */
const inOut = (seed: number, metric: string) => (metric.endsWith('sent') ? seed / 3 : seed)

/** Traffic in bytes a second; its counter is the integral. */
const rate = (seed: number, time: number) => (2 + Math.sin(time / 700 + seed * 9)) * 1e6 * (seed + 0.2)
const counter = (seed: number, time: number) => (time * 2 - 700 * Math.cos(time / 700 + seed * 9)) * 1e6 * (seed + 0.2)

export const sampled = [
  'load_load1 load_load5 load_load15 cpu_user cpu_system cpu_nice cpu_idle cpu_iowait cpu_steal',
  'mem_used_percent mem_total mem_used mem_free mem_cached mem_buffers swap_total swap_used swap_free swap_cached swap_shared',
  'disk_total disk_used disk_free disk_used_percent disk_inodes_total disk_inodes_used disk_inodes_free',
  'disk_inodes_used_percent net_bytes_recv net_bytes_sent',
].flatMap((line) => line.split(' '))

export function latest(s: Server, metrics: string[], time: number): Reading[] {
  const seed = seedOf(s)
  return metrics.flatMap((metric) =>
    tagsOf(metric).map((tags, i) => ({
      server: s.name,
      metric,
      tags,
      time: new Date(time * 1000 + s.clock_skew * 1000).toISOString(),
      value: metric.startsWith('net_') ? counter(inOut(seed, metric), time) : value(metric, (seed + i * 0.3) % 1, time),
    })),
  )
}

/** A range of samples, one every 15 s, with a hole in the middle. */
export function range(s: Server, metrics: string[], from: number, to: number, step: number): Samples {
  const seed = seedOf(s)
  const hole = from + (to - from) * 0.55
  const series = metrics.flatMap((metric) =>
    tagsOf(metric).map((tags, i) => {
      const points: Point[] = []
      for (let t = Math.ceil(from / step) * step; t < to; t += step) {
        if (t > hole && t < hole + (to - from) * 0.06) continue
        points.push([
          t,
          metric.startsWith('net_') ? rate(inOut(seed, metric), t) : value(metric, (seed + i * 0.3) % 1, t),
        ])
      }
      return { metric, tags: { server: s.name, ...tags }, points }
    }),
  )
  return { metrics, from: new Date(from * 1000).toISOString(), to: new Date(to * 1000).toISOString(), step, series }
}
