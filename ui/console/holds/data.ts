import { useQuery } from '@tanstack/react-query'
import { api } from '../api/client'
import type { Holds } from '../api/types'
import { useMay } from '../app/rights'

/** Accounts whose mail is held because they send far more than usual; of one account, or all. */
export function useHolds(account?: string, enabled = true) {
  const may = useMay('accounts', 'read')
  return useQuery({
    queryKey: ['holds', account ?? ''],
    enabled: may && enabled,
    queryFn: ({ signal }) => api.get<Holds>('/holds', { query: { account }, signal }),
    refetchInterval: 30_000, // no event tells of mail
  })
}
