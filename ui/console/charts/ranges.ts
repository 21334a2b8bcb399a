/** How far back charts look. */
export const ranges = ['1h', '24h', '7d', '30d'] as const
export type Range = (typeof ranges)[number]

/** A range's length and the width of one point, in seconds: a few hundred points at most. */
export const spans: Record<Range, { length: number; step: number }> = {
  '1h': { length: 3600, step: 15 },
  '24h': { length: 86_400, step: 300 },
  '7d': { length: 7 * 86_400, step: 1800 },
  '30d': { length: 30 * 86_400, step: 7200 },
}
