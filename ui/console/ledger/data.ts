import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { api } from '../api/client'
import type { Ledger, LedgerEntry, MailFailures, Point } from '../api/types'

export interface LedgerOf {
  domain?: string
  account?: string
  from: string
  to: string
}

const day = 86_400

/** A day of the ledger, which are of UTC: so many days before now. */
export const dayBefore = (now: number, days: number) => new Date(now - days * day * 1000).toISOString().slice(0, 10)

export function useLedger(of: LedgerOf, by: string[]) {
  return useQuery({
    queryKey: ['ledger', of, by],
    queryFn: ({ signal }) => api.get<Ledger>('/ledger', { query: { ...of, by }, signal }),
    refetchInterval: 60_000, // no event tells of mail
    placeholderData: keepPreviousData,
  })
}

export function useFailures(account: string) {
  return useQuery({
    queryKey: ['ledger', 'failures', account],
    queryFn: ({ signal }) => api.get<MailFailures>(`/accounts/${encodeURIComponent(account)}/failures`, { signal }),
  })
}

export const figures = ['in', 'out', 'in_bytes', 'out_bytes', 'failed'] as const
export type Figure = (typeof figures)[number]

/** A figure of each day; a day without mail is 0 and no gap. */
export function daily(entries: LedgerEntry[], figure: Figure, from: string, to: string): Point[] {
  const values = new Map(entries.map((e) => [e.day, e[figure]]))
  const points: Point[] = []
  for (let at = Date.parse(from) / 1000; at <= Date.parse(to) / 1000; at += day)
    points.push([at, values.get(new Date(at * 1000).toISOString().slice(0, 10)) ?? 0])
  return points
}
