import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
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

/** A moment of today, another one once it is tomorrow. */
export function useToday(): number {
  const [today, setToday] = useState(Date.now)
  useEffect(() => {
    const look = () => setToday((was) => (dayBefore(was, 0) === dayBefore(Date.now(), 0) ? was : Date.now()))
    const timer = setInterval(look, 30_000)
    return () => clearInterval(timer)
  }, [])
  return today
}

const askEvery = 60_000 // no event tells of mail

/** What each day was: a year at most, which is one page. */
export function useDays(of: LedgerOf) {
  return useQuery({
    queryKey: ['ledger', 'days', of],
    queryFn: ({ signal }) => api.get<Ledger>('/ledger', { query: { ...of, by: ['day'] }, signal }),
    refetchInterval: askEvery,
    placeholderData: keepPreviousData,
  })
}

/** What there is by one group, page after page. */
export function useLedger(of: LedgerOf, by: string) {
  return useInfiniteQuery({
    queryKey: ['ledger', 'rows', of, by],
    queryFn: ({ pageParam, signal }) =>
      api.get<Ledger>('/ledger', { query: { ...of, by: [by], limit: 400, cursor: pageParam || undefined }, signal }),
    initialPageParam: '',
    getNextPageParam: (page) => page.next || undefined,
    refetchInterval: askEvery,
    placeholderData: keepPreviousData,
  })
}

/** Mail that was given up, the latest first, page after page. */
export function useFailures(of: LedgerOf) {
  return useInfiniteQuery({
    queryKey: ['ledger', 'failures', of],
    queryFn: ({ pageParam, signal }) =>
      api.get<MailFailures>('/ledger/failures', {
        query: { ...of, limit: 100, cursor: pageParam || undefined },
        signal,
      }),
    initialPageParam: '',
    getNextPageParam: (page) => page.next || undefined,
    refetchInterval: askEvery,
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
