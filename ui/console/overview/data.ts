import { useQuery } from '@tanstack/react-query'
import { api } from '../api/client'
import type { Page, Reading, Samples, Server } from '../api/types'
import { readings, type ServerReadings } from '../live/readings'
import { figure, figureMetrics } from './figures'

/** Brings the newest readings of the whole fleet; the event stream keeps them so. */
export function useFleetReadings() {
  return useQuery({
    queryKey: ['readings', 'fleet'],
    queryFn: async ({ signal }) => {
      const { items } = await api.get<Page<Reading>>('/samples', { query: { metric: figureMetrics }, signal })
      readings.add(items)
      return true
    },
  })
}

/**
 * Asks for the traffic of a server in sight. A counter's newest reading alone
 * is no rate, and the next one may be five minutes away.
 */
export function useRates(server: Server, known: ServerReadings) {
  useQuery({
    queryKey: ['rates', server.id],
    enabled: known.size > 0 && !figure(known, 'received'),
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async ({ signal }) => {
      const metric = ['net_bytes_recv', 'net_bytes_sent']
      const query = { metric, aggregate: 'rate', from: '-20m', step: '0s' }
      const { series } = await api.get<Samples>(`/servers/${server.id}/samples`, { query, signal })
      readings.addRates(server.name, series)
      return true
    },
  })
}
