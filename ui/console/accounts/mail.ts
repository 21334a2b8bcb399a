import { useQuery } from '@tanstack/react-query'
import { api } from '../api/client'
import type { AccountTerms } from '../api/types'

// What an account's page asks for.

/** What one of the account's mailboxes holds. */
export interface Mailbox {
  name: string
  /** Special use, as in \Sent (RFC 6154). */
  use?: string
  messages: number
  unseen: number
  bytes: number
}

/** What an account's mailboxes hold and may hold; 0: no limit. */
export interface Mailboxes {
  bytes: number
  messages: number
  mailboxes: Mailbox[]
  quota: number
  max_messages: number
}

/** Sign-ins by mail, alike ones as one. */
export interface SignIns {
  first: string
  last: string
  count: number
  protocol: string
  address: string
  mechanism: string
  credential?: string
  ok: boolean
  reason?: string
}

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
    queryFn: ({ signal }) => api.get<Mailboxes>(`${path(id)}/mailboxes`, { signal }),
    refetchInterval: 30_000, // no event tells of mail
  })
}

export function useSignIns(id: string) {
  return useQuery({
    queryKey: ['accounts', 'sign-ins', id],
    queryFn: ({ signal }) => api.get<{ items: SignIns[] }>(`${path(id)}/sign-ins`, { signal }),
    refetchInterval: 30_000,
  })
}
