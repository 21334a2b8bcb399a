import { describe, expect, test } from 'vitest'
import { EventParser } from './sse'

describe('the event parser', () => {
  test('reads names, ids and data of several lines', () => {
    const parser = new EventParser()
    const got = parser.feed('event: change\nid: 7\ndata: {"a":\ndata: 1}\n\nid: 8\n')
    expect(got).toEqual([{ event: 'change', data: '{"a":\n1}' }])
    expect(parser.lastId).toBe('7')
    expect(parser.feed('\n')).toEqual([])
    expect(parser.lastId).toBe('8')
  })

  test('does not mind where the pieces are cut', () => {
    const text = 'id: 1\r\ndata: x\r\n\r\n: ping\n\nevent: samples\ndata: y\n\n'
    const parser = new EventParser()
    const got = [...text].flatMap((c) => parser.feed(c))
    expect(got).toEqual([
      { event: 'message', data: 'x' },
      { event: 'samples', data: 'y' },
    ])
  })

  test('comments and empty events say nothing', () => {
    expect(new EventParser().feed(': hello\n\nevent: change\n\n')).toEqual([])
  })

  test('an event without end is refused', () => {
    const parser = new EventParser()
    const much = 'data: '.padEnd(4 << 20, 'x')
    expect(() => {
      for (let i = 0; i < 5; i++) parser.feed(much)
    }).toThrow('too long')
  })
})
