import { useQuery } from '@tanstack/react-query'
import { useEffect, useMemo } from 'react'
import { api, ProblemError } from '../api/client'
import { useList, useServers } from '../api/queries'
import type { Crash, Page, Power, Preflight, Reading, Samples, Series } from '../api/types'
import { type Range, spans } from '../charts/ranges'
import { readings, useReadings } from '../live/readings'
import { useText } from '../text/language'

/** A server by its name or id. */
export function useServer(name: string) {
  const servers = useServers()
  const server = useMemo(() => servers.data?.find((s) => s.name === name || s.id === name), [servers.data, name])
  return { ...servers, server }
}

/** What the charts show as it is; counters are asked for as rates. */
const gauges = [
  'load_load1 load_load5 load_load15',
  'cpu_user cpu_system cpu_nice cpu_idle cpu_iowait cpu_steal',
  'mem_total mem_used mem_free mem_cached mem_buffers',
  'swap_total swap_used swap_free swap_cached swap_shared',
  'disk_used_percent disk_inodes_used_percent',
].flatMap((line) => line.split(' '))
const counters = [
  'net_bytes_recv net_bytes_sent',
  'mailnode_smtp_accepted mailnode_smtp_rejected mailnode_messages_delivered mailnode_pop3_retrieved',
].flatMap((line) => line.split(' '))

export interface Charted {
  from: number
  to: number
  step: number
  series: Series[]
}

/** Charts are read again when new samples have come, but not more often than this, in seconds. */
const seldom = 60

/** A server's samples over a range; read again as new ones come in. */
export function useSamples(id: string, name: string, range: Range) {
  const { length, step } = spans[range]
  const query = useQuery({
    queryKey: ['samples', id, range],
    queryFn: async ({ signal }): Promise<Charted> => {
      const ask = (metric: string[], aggregate: string) =>
        api.get<Samples>(`/servers/${id}/samples`, {
          query: { metric, aggregate, from: `-${length}s`, step: `${step}s` },
          signal,
        })
      const [gauge, rate] = await Promise.all([ask(gauges, 'avg'), ask(counters, 'rate')])
      return {
        from: Date.parse(gauge.from) / 1000,
        to: Date.parse(gauge.to) / 1000,
        step: gauge.step,
        series: [...gauge.series, ...rate.series],
      }
    },
    placeholderData: (before, of) => (of?.queryKey[1] === id ? before : undefined),
  })
  const fresh = useReadings(name)
  const { refetch } = query
  // biome-ignore lint/correctness/useExhaustiveDependencies: new readings are the reason to look
  useEffect(() => {
    const age = (Date.now() - query.dataUpdatedAt) / 1000
    if (query.dataUpdatedAt > 0 && age > Math.min(step, seldom)) void refetch()
  }, [fresh])
  return query
}

/** Brings all of a server's newest readings; the event stream keeps them so. */
export function useServerReadings(name: string) {
  useQuery({
    queryKey: ['readings', name],
    queryFn: async ({ signal }) => {
      const { items } = await api.get<Page<Reading>>('/samples', { query: { server: name }, signal })
      readings.add(items)
      return true
    },
  })
  return useReadings(name)
}

/** How a service last crashed; null when it has not. */
export function useCrash(service: string) {
  return useQuery({
    queryKey: ['crash', service],
    queryFn: async ({ signal }) => {
      try {
        return await api.get<Crash>(`/services/${service}/crash`, { signal })
      } catch (e) {
        if (e instanceof ProblemError && e.status === 404) return null
        throw e
      }
    },
    retry: false,
    gcTime: 0,
  })
}

/** The one thing of a kind that a server has, or none yet; a list of the API, so that events keep it fresh. */
function useOf<T>(noun: string, server: string) {
  const list = useList<T>(noun, { server }, 1)
  return { ...list, thing: list.data?.pages[0]?.items[0] }
}

/** What its agent found when it last looked at the server. */
export function usePreflight(server: string) {
  const { thing: preflight, ...query } = useOf<Preflight>('preflights', server)
  return { ...query, preflight }
}

/** How a server's power is switched. */
export function usePower(server: string) {
  const { thing: power, ...query } = useOf<Power>('powers', server)
  return { ...query, power }
}

/** Names a check for people; one that this console does not know stays as it is. */
export function useCheckName(): (name: string) => string {
  const { t } = useText()
  return (name) => t(`check.${name}` as 'check.stack', { defaultValue: name })
}
