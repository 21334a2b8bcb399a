import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { place } from './Menu'

beforeEach(() => {
  vi.spyOn(document.documentElement, 'clientWidth', 'get').mockReturnValue(360)
  vi.spyOn(document.documentElement, 'clientHeight', 'get').mockReturnValue(740)
})
afterEach(() => vi.restoreAllMocks())

const box = (x: number, y: number, width: number, height: number) => new DOMRect(x, y, width, height)

test('a menu stands under its button, their right sides in line', () => {
  expect(place(box(280, 100, 60, 30), box(0, 0, 200, 150))).toEqual({ left: 140, top: 134 })
})

test('a menu of a button at the left does not leave the screen', () => {
  expect(place(box(20, 100, 60, 30), box(0, 0, 200, 150))).toEqual({ left: 4, top: 134 })
})

test('a menu of a button at the bottom stands over it', () => {
  expect(place(box(280, 690, 60, 30), box(0, 0, 200, 150))).toEqual({ left: 140, top: 536 })
})

test('a menu that fits nowhere is on the screen as far as it can be', () => {
  expect(place(box(280, 400, 60, 30), box(0, 0, 400, 900))).toEqual({ left: 4, top: 4 })
})
