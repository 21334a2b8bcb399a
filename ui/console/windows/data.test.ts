import { expect, test } from 'vitest'
import type { MaintenanceWindow } from '../api/types'
import { phaseOf } from './data'

const never = '0001-01-01T00:00:00Z'
const at = (hour: number) => `2026-01-01T${String(hour).padStart(2, '0')}:00:00Z`
const window = (w: Partial<MaintenanceWindow>) => ({ from: at(2), to: at(4), closed: never, ...w }) as MaintenanceWindow
const noon = (hour: number) => Date.parse(at(hour))

test('a window is planned, then open, then over', () => {
  expect(phaseOf(window({}), noon(1))).toBe('planned')
  expect(phaseOf(window({}), noon(3))).toBe('open')
  expect(phaseOf(window({}), noon(5))).toBe('over')
})

test('one that was closed is over before its end', () => {
  expect(phaseOf(window({ closed: at(3) }), noon(3))).toBe('over')
})

test('one of an operation is open until it is closed', () => {
  expect(phaseOf(window({ to: never }), noon(23))).toBe('open')
})
