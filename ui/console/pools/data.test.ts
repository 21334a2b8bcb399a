import { expect, test } from 'vitest'
import { Fleet } from '../../fake/fleet'
import { candidates, fill, inService, membersOf, spreadOf } from './data'

/** Eight servers over four regions; the pool holds the first two. */
function fleet() {
  const { servers, pools } = new Fleet(8).tables
  const [pool] = pools
  if (!pool) throw new Error('no pool')
  return { servers, pool }
}

test('a pool is spread over the regions of its members', () => {
  const { servers, pool } = fleet()
  expect(spreadOf(membersOf(pool, servers))).toEqual([
    { region: 'bj', all: 1, ready: 1 },
    { region: 'hk', all: 1, ready: 1 },
  ])
})

test('a member that is drained, weightless or down is not in service', () => {
  const { servers, pool } = fleet()
  const [member] = membersOf(pool, servers)
  if (!member?.server || !member.service) throw new Error('no member')
  expect(inService(member)).toBe(true)
  expect(inService({ ...member, weight: 0 })).toBe(false)
  expect(inService({ ...member, service: { ...member.service, drained: true } })).toBe(false)
  expect(inService({ ...member, server: { ...member.server, state: 'down' } })).toBe(false)
})

test('a region is filled up to what is wanted, with servers that are up and have the service', () => {
  const { servers, pool } = fleet()
  const names = (ids: string[]) => ids.map((id) => servers.find((s) => s.id === id)?.name)
  expect(names(fill(pool, servers, 1))).toEqual(['mail-sg-4', 'mail-sh-3'])
  const third = servers[2]
  if (third) third.state = 'down'
  expect(names(fill(pool, servers, 1))).toEqual(['mail-sg-4', 'mail-sh-7'])
  if (third) third.services = []
  expect(candidates(pool, servers).map((s) => s.name)).not.toContain('mail-sh-3')
})
