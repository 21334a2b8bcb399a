import type { Latest, ServerReadings } from '../live/readings'
import type { Format } from '../text/format'

/** One number of a server, and when it was taken (ms). */
export interface Value {
  value: number
  time: number
}

/** The numbers by which servers are compared. */
export const figures = ['load', 'cpu', 'memory', 'disk', 'received', 'sent'] as const
export type Figure = (typeof figures)[number]

/** The metrics that the figures are made of. */
export const figureMetrics = [
  'load_load1',
  'cpu_idle',
  'mem_used_percent',
  'disk_used_percent',
  'net_bytes_recv',
  'net_bytes_sent',
]

const percents: readonly Figure[] = ['cpu', 'memory', 'disk']

export const isPercent = (f: Figure) => percents.includes(f)

function of(readings: ServerReadings, metric: string): Latest[] {
  const found: Latest[] = []
  for (const l of readings.values()) if (l.metric === metric) found.push(l)
  return found
}

const newest = (list: Latest[]) => list.reduce((t, l) => Math.max(t, l.time), 0)

function one(readings: ServerReadings, metric: string, map = (v: number) => v): Value | undefined {
  const l = of(readings, metric)[0]
  return l && { value: map(l.value), time: l.time }
}

/** The counters of all interfaces but the loopback, as bytes a second. */
function traffic(readings: ServerReadings, metric: string): Value | undefined {
  const list = of(readings, metric).filter((l) => l.tags.interface !== 'lo' && l.rate !== undefined)
  if (list.length === 0) return undefined
  return { value: list.reduce((sum, l) => sum + (l.rate ?? 0), 0), time: newest(list) }
}

/** A server's figure; undefined while it has none. */
export function figure(readings: ServerReadings, f: Figure): Value | undefined {
  switch (f) {
    case 'load':
      return one(readings, 'load_load1')
    case 'cpu':
      return one(readings, 'cpu_idle', (idle) => Math.max(0, 100 - idle))
    case 'memory':
      return one(readings, 'mem_used_percent')
    case 'disk': {
      const list = of(readings, 'disk_used_percent') // the fullest file system matters
      return list.length === 0 ? undefined : { value: Math.max(...list.map((l) => l.value)), time: newest(list) }
    }
    case 'received':
      return traffic(readings, 'net_bytes_recv')
    case 'sent':
      return traffic(readings, 'net_bytes_sent')
  }
}

export function writeFigure(format: Format, f: Figure, v: number): string {
  if (f === 'load') return format.number(v, 2)
  return isPercent(f) ? format.percent(v) : format.rate(v)
}

/** Where the heat of a percentage changes. */
export const percentSteps = [25, 50, 70, 85, 95] as const

/** How hot a value is, 0 to 5: by fixed steps for percentages, else by its share of the fleet's highest. */
export function heat(f: Figure, value: number, highest: number): number {
  const share = isPercent(f) ? value : highest > 0 ? (value / highest) * 70 : 0 // relative heat is no alarm: it ends below it
  return percentSteps.filter((s) => share >= s).length
}
