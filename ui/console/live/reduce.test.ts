import { describe, expect, test } from 'vitest'
import { Fleet } from '../../fake/fleet'
import type { Change, Meta, Page, Server } from '../api/types'
import { reducePages, reduceServers } from './reduce'

const thing = (id: string, version: number): Meta => ({ id, version, created: '', updated: '' })
const pages = (...items: Meta[]) => ({ pages: [{ items, next: '' }] as Page<Meta>[], pageParams: [''] })
const change = (c: Partial<Change>): Change => ({ index: 1, time: '', kind: 'rules', verb: 'updated', id: '', ...c })

describe('a change of a paged list', () => {
  const held = pages(thing('a', 1), thing('b', 5))

  test('puts the newer thing in place of the older', () => {
    const { data, ask } = reducePages(held, change({ id: 'a', resource: thing('a', 2) }))
    expect(data.pages[0]?.items.map((i) => i.version)).toEqual([2, 5])
    expect(ask).toBe(false)
  })

  test('an older thing changes nothing', () => {
    expect(reducePages(held, change({ id: 'b', resource: thing('b', 4) })).data).toBe(held)
  })

  test('what is deleted goes', () => {
    const { data } = reducePages(held, change({ verb: 'deleted', id: 'a' }))
    expect(data.pages[0]?.items.map((i) => i.id)).toEqual(['b'])
  })

  test('what is new or not shown must be asked for', () => {
    expect(reducePages(held, change({ verb: 'created', id: 'c', resource: thing('c', 9) })).ask).toBe(true)
    expect(reducePages(held, change({ id: 'a' })).ask).toBe(true)
  })
})

describe('a change of the fleet', () => {
  const servers: Server[] = new Fleet(2).tables.servers
  const [first, second] = servers as [Server, Server]
  const service = first.services[0]
  if (!service) throw new Error('no service')

  test('a server changes its state and the others stay as they were', () => {
    const down: Server = { ...second, version: second.version + 1, state: 'down' }
    const { data } = reduceServers(servers, change({ kind: 'servers', id: second.id, resource: down }))
    expect(data[1]?.state).toBe('down')
    expect(data[0]).toBe(first)
  })

  test('a new server joins the list', () => {
    const fresh = { ...first, id: 'new', name: 'new' }
    const { data } = reduceServers(servers, change({ kind: 'servers', verb: 'created', id: 'new', resource: fresh }))
    expect(data).toHaveLength(3)
  })

  test('a service changes on its server', () => {
    const stopped = { ...service, version: service.version + 1, state: 'stopped' as const }
    const { data } = reduceServers(servers, change({ kind: 'services', id: service.id, resource: stopped }))
    expect(data[0]?.services[0]?.state).toBe('stopped')
    expect(data[1]).toBe(second)
  })

  test('a service comes and goes', () => {
    const extra = { ...service, id: 'extra', name: 'rspamd' }
    const added = reduceServers(
      servers,
      change({ kind: 'services', verb: 'created', id: 'extra', resource: extra }),
    ).data
    expect(added[0]?.services).toHaveLength(2)
    const gone = reduceServers(added, change({ kind: 'services', verb: 'deleted', id: 'extra' })).data
    expect(gone[0]?.services).toHaveLength(1)
  })

  test('a service of an unknown server must be asked for', () => {
    const lost = { ...service, id: 'x', server: 'nowhere' }
    expect(reduceServers(servers, change({ kind: 'services', id: 'x', resource: lost }))).toEqual({
      data: servers,
      ask: true,
    })
  })
})
