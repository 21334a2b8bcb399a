import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { api } from '../api/client'
import type { Domain, DomainRecords } from '../api/types'

// What a domain's page asks for.

export const pathOf = (domain: string) => `/domains/${encodeURIComponent(domain)}`

export function useDomain(name: string) {
  return useQuery({
    queryKey: ['domains', 'terms', name],
    queryFn: ({ signal }) => api.get<Domain>(pathOf(name), { signal }),
  })
}

/** The records that a domain's mail needs; what the DNS has of them takes its time and is asked for besides. */
export function useRecords(name: string) {
  const ask = (check: boolean) => ({
    queryKey: ['domains', 'terms', name, 'records', check],
    queryFn: ({ signal }: { signal: AbortSignal }) =>
      api.get<DomainRecords>(`${pathOf(name)}/records`, { query: { check: check ? 'true' : undefined }, signal }),
    placeholderData: keepPreviousData,
    retry: false,
  })
  const wanted = useQuery(ask(false))
  const checked = useQuery(ask(true))
  return { ...wanted, records: checked.data ?? wanted.data, checking: checked.isFetching, check: checked.refetch }
}
