import { useMemo } from 'react'
import { useList, useServers } from '../api/queries'
import type { Pool, Server, Service } from '../api/types'
import { byName } from '../text/format'

export const usePools = () => useList<Pool>('pools', {}, 500)

/** A pool by its name or id. */
export function usePool(name: string) {
  const pools = usePools()
  const pool = useMemo(
    () => pools.data?.pages.flatMap((p) => p.items).find((p) => p.name === name || p.id === name),
    [pools.data, name],
  )
  return { ...pools, pool }
}

/** A member as it is now; its server may have left the fleet. */
export interface MemberNow {
  id: string
  weight: number
  server: Server | undefined
  service: Service | undefined
}

/** Whether it takes part: weight, state and drain all allow it. */
export const inService = (m: MemberNow) =>
  m.weight > 0 && m.server?.state === 'up' && m.service?.state === 'running' && !m.service.drained

/** The members of a pool with what is known of them, by name. */
export function membersOf(pool: Pool, servers: Server[]): MemberNow[] {
  return pool.members
    .map((m) => {
      const server = servers.find((s) => s.id === m.server)
      const service = server?.services.find((v) => v.name === pool.service)
      return { id: m.server, weight: m.weight, server, service }
    })
    .sort((a, b) => byName(a.server?.name ?? a.id, b.server?.name ?? b.id))
}

export function useMembers(pool: Pool): MemberNow[] {
  const servers = useServers().data
  return useMemo(() => membersOf(pool, servers ?? []), [pool, servers])
}

export interface RegionNow {
  region: string
  all: number
  ready: number
}

/** How a pool is spread over the regions. */
export function spreadOf(members: MemberNow[]): RegionNow[] {
  const regions = new Map<string, RegionNow>()
  for (const m of members) {
    const region = m.server?.region ?? ''
    const now = regions.get(region) ?? { region, all: 0, ready: 0 }
    now.all++
    if (inService(m)) now.ready++
    regions.set(region, now)
  }
  return [...regions.values()].sort((a, b) => byName(a.region, b.region))
}

/** The servers that have the pool's service and are not in it, by region and name. */
export function candidates(pool: Pool, servers: Server[]): Server[] {
  const members = new Set(pool.members.map((m) => m.server))
  return servers
    .filter((s) => s.state !== 'removed' && !members.has(s.id) && s.services.some((v) => v.name === pool.service))
    .sort((a, b) => byName(a.region, b.region) || byName(a.name, b.name))
}

/** Which candidates to add so that every region has `wanted` members, as far as there are servers. */
export function fill(pool: Pool, servers: Server[], wanted: number): string[] {
  const have = new Map<string, number>()
  for (const m of membersOf(pool, servers)) {
    const region = m.server?.region ?? ''
    have.set(region, (have.get(region) ?? 0) + 1)
  }
  const chosen: string[] = []
  for (const s of candidates(pool, servers)) {
    const n = have.get(s.region) ?? 0
    if (n >= wanted || s.state !== 'up') continue
    have.set(s.region, n + 1)
    chosen.push(s.id)
  }
  return chosen
}
