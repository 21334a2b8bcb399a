import type { Point } from '../api/types'

/** A column of a chart: null is a gap in the line, undefined is no point at all. */
export type Column = (number | null | undefined)[]

/** How many usual distances between two points make a gap. */
const tolerance = 2.5

/** The distance in seconds beyond which two neighbouring points are not joined by a line. */
export function gapAfter(points: Point[], step: number): number {
  const distances = points.slice(1).map((p, i) => p[0] - (points[i]?.[0] ?? 0))
  distances.sort((a, b) => a - b)
  const usual = distances[distances.length >> 1] ?? 0
  return Math.max(step, usual) * tolerance
}

/** The points, with a null where data is missing. */
export function withGaps(points: Point[], step: number): [number, number | null][] {
  const limit = gapAfter(points, step)
  const out: [number, number | null][] = []
  let before: number | undefined
  for (const p of points) {
    if (before !== undefined && p[0] - before > limit) out.push([before + step, null])
    out.push(p)
    before = p[0]
  }
  return out
}

/** Puts series on one time axis: [times, values of the first series, …]. */
export function align(series: Point[][], step: number): [times: number[], ...values: Column[]] {
  const gapped = series.map((points) => withGaps(points, step))
  const times = [...new Set(gapped.flatMap((points) => points.map((p) => p[0])))].sort((a, b) => a - b)
  const place = new Map(times.map((t, i) => [t, i]))
  const values = gapped.map((points) => {
    const column: Column = new Array(times.length).fill(undefined)
    for (const [t, v] of points) column[place.get(t) ?? 0] = v
    return column
  })
  return [times, ...values]
}

/** Lays columns on top of each other, the first at the bottom. Where one has no value the stack has none. */
export function stack(columns: Column[]): Column[] {
  const sum: Column = []
  return columns.map((column, n) => {
    const top = column.map((v, i) => {
      const below = n === 0 ? 0 : sum[i]
      return typeof v === 'number' && typeof below === 'number' ? below + v : null
    })
    for (const [i, v] of top.entries()) sum[i] = v
    return top
  })
}
