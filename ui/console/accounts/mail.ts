import { useQuery } from '@tanstack/react-query'
import { api } from '../api/client'
import type { AccountMailboxes, AccountTerms, MailSignIns } from '../api/types'

// What an account's page asks for.

const path = (id: string) => `/accounts/${encodeURIComponent(id)}`

export function useAccount(id: string) {
  return useQuery({
    queryKey: ['accounts', 'terms', id],
    queryFn: ({ signal }) => api.get<AccountTerms>(path(id), { signal }),
  })
}

export function useMailboxes(id: string) {
  return useQuery({
    queryKey: ['accounts', 'mailboxes', id],
    queryFn: ({ signal }) => api.get<AccountMailboxes>(`${path(id)}/mailboxes`, { signal }),
    refetchInterval: 30_000, // no event tells of mail
  })
}

export function useSignIns(id: string) {
  return useQuery({
    queryKey: ['accounts', 'sign-ins', id],
    queryFn: ({ signal }) => api.get<MailSignIns>(`${path(id)}/sign-ins`, { signal }),
    refetchInterval: 30_000,
  })
}
