import { describe, expect, test } from 'vitest'
import type { Point } from '../api/types'
import { align, gapAfter, stack, withGaps } from './align'

const every = (step: number, n: number, from = 0): Point[] => Array.from({ length: n }, (_, i) => [from + i * step, i])

describe('gaps', () => {
  test('points as far apart as usual are joined, however wide the step', () => {
    expect(withGaps(every(300, 12), 15)).toHaveLength(12)
  })

  test('one missing point is bridged, two are a gap', () => {
    const one: Point[] = [...every(60, 5), ...every(60, 5, 360)]
    expect(withGaps(one, 60).some((p) => p[1] === null)).toBe(false)
    const two: Point[] = [...every(60, 5), ...every(60, 5, 420)]
    expect(withGaps(two, 60).filter((p) => p[1] === null)).toEqual([[300, null]])
  })

  test('no points and one point have no gaps', () => {
    expect(withGaps([], 60)).toEqual([])
    expect(withGaps([[1, 1]], 60)).toEqual([[1, 1]])
    expect(gapAfter([[1, 1]], 60)).toBe(150)
  })
})

describe('one axis', () => {
  test('series with other times share it; what one lacks is no gap', () => {
    const a: Point[] = [
      [0, 1],
      [20, 3],
    ]
    const b: Point[] = [
      [10, 5],
      [20, 6],
    ]
    expect(align([a, b], 10)).toEqual([
      [0, 10, 20],
      [1, undefined, 3],
      [undefined, 5, 6],
    ])
  })

  test('a gap in one series is a gap only there', () => {
    const a: Point[] = [...every(10, 4), ...every(10, 4, 100)]
    const [times, ca, cb] = align([a, every(10, 14)], 10)
    expect(ca?.[times.indexOf(40)]).toBeNull()
    expect(cb?.[times.indexOf(40)]).toBe(4)
  })

  test('no series make an empty chart', () => {
    expect(align([], 10)).toEqual([[]])
  })
})

test('a stack adds up and breaks where a value is missing', () => {
  expect(
    stack([
      [1, 2, null],
      [10, undefined, 30],
    ]),
  ).toEqual([
    [1, 2, null],
    [11, null, null],
  ])
})
