import type uPlot from 'uplot'
import type { Format } from '../text/format'
import type { Column } from './align'

interface Look {
  width: number
  labels: string[]
  stacked: boolean
  time: string
  format: Format
  write: (v: number) => string
  percent: boolean
  binary: boolean
  /** Points are days of UTC, whatever the reader's time zone is. */
  days: boolean
  span: () => [from: number, to: number]
  column: (i: number) => Column | undefined
  css: CSSStyleDeclaration
}

const height = 180
const font = '11px system-ui, sans-serif'
const day = 86_400
/** Marks on an axis of bytes stand at powers of two. */
const powers = Array.from({ length: 50 }, (_, i) => 2 ** i)
/** All charts of a screen move their cursors together. */
const together = 'charts'

/** How a chart looks and behaves. Colours come from the page's style sheet. */
export function chartOptions(look: Look): uPlot.Options & { height: number } {
  const colour = (name: string) => look.css.getPropertyValue(name).trim()
  const lines = look.labels.map((_, i) => colour(`--line-${(i % 8) + 1}`))
  const axis = {
    stroke: colour('--text-dim'),
    font,
    ticks: { show: false },
    grid: { stroke: colour('--line'), width: 1 },
  }
  return {
    width: look.width,
    height,
    ...(look.days && { tzDate: (s: number) => new Date(inUTC(s * 1000)) }),
    padding: [8, 20, 0, 0],
    cursor: {
      sync: { key: together, scales: ['x', null] },
      drag: { x: false, y: false },
      points: { size: 6 },
      y: false,
    },
    scales: {
      x: { range: () => look.span() },
      y: { range: look.percent ? percentRange : fromZero },
    },
    axes: [
      { ...axis, size: 26, space: 64, values: (_, splits) => splits.map((s) => tick(look, s * 1000)) },
      {
        ...axis,
        size: 66,
        incrs: look.binary ? powers : undefined,
        values: (_, splits) => splits.map((s) => look.write(s)),
      },
    ],
    series: [
      { label: look.time, value: (_, v) => (v === null ? '' : moment(look, v * 1000)) },
      ...look.labels.map((label, i) => ({
        label,
        stroke: lines[i],
        width: 1.5,
        fill: look.stacked && i < look.labels.length - 1 ? `${lines[i]}66` : undefined, // the last is what is left
        points: { show: lonely, size: 4 },
        // A stacked line's own value, not its height.
        value: (_u: uPlot, _v: number | null, _s: number, at: number | null) => {
          const v = at === null ? undefined : look.column(i)?.[at]
          return typeof v === 'number' ? look.write(v) : '—'
        },
      })),
    ],
    bands: look.stacked
      ? look.labels.slice(1).map((_, i) => ({ series: [i + 2, i + 1] as [number, number] }))
      : undefined,
    hooks: { ready: [showNewest], setData: [showNewest], setCursor: [(u) => u.cursor.idx == null && showNewest(u)] },
  }
}

/** Without a pointer the legend tells the newest values. */
function showNewest(u: uPlot): void {
  const newest = u.data[0].length - 1
  if (newest >= 0 && u.legend.idx !== newest) u.setLegend({ idx: newest }, false)
}

/** A point between two gaps has no line and must be drawn itself. */
function lonely(u: uPlot, series: number, from: number, to: number): boolean {
  const values = u.data[series] ?? []
  for (let i = from; i <= to; i++) {
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) return true
  }
  return false
}

/** The moment at which clocks here show what those of UTC show at another. */
const inUTC = (ms: number) => ms + new Date(ms).getTimezoneOffset() * 60_000

function moment(look: Look, ms: number): string {
  return look.days ? new Date(ms).toISOString().slice(0, 10) : look.format.time(ms)
}

function tick(look: Look, ms: number): string {
  const [from, to] = look.span()
  if (look.days) return look.format.day(inUTC(ms))
  if (to - from > day) return look.format.day(ms)
  return look.format.clock(ms)
}

function percentRange(_u: uPlot, _min: number | null, max: number | null): uPlot.Range.MinMax {
  return [0, Math.max(100, max ?? 0)]
}

function fromZero(_u: uPlot, min: number | null, max: number | null): uPlot.Range.MinMax {
  return [Math.min(0, min ?? 0), (max ?? 0) > 0 ? (max ?? 0) * 1.08 : 1]
}
