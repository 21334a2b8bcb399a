import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { api, type Query } from '../api/client'
import type { Queue, QueuedMail, QueueSummary } from '../api/types'

/** Which of the queued mail is looked at, as it is typed; empty texts pick all. */
export interface Filter {
  server: string
  destination: string
  sender: string
  recipient: string
  state: string
  last: string
  older: string
}

export const everything: Filter = {
  server: '',
  destination: '',
  sender: '',
  recipient: '',
  state: '',
  last: '',
  older: '',
}

/** How often the queue is asked again, in ms: no event tells of mail. */
const askEvery = 15_000

const queryOf = (f: Filter): Query => ({ ...f })

/** The filter as an operation takes it; the server is a target there. */
export function orderOf({ server: _, ...f }: Filter): Record<string, string> {
  return Object.fromEntries(Object.entries(f).filter(([, value]) => value !== ''))
}

/** A filter as orders have it. */
export type Picked = { ids?: string[] } | Record<string, string>

/** How much of what a filter picks the act may be done with now. */
export function useCount(picked: Picked, act: string) {
  return useQuery({
    queryKey: ['queue', 'count', picked, act],
    queryFn: ({ signal }) =>
      api.get<QueueSummary>('/queue/summary', {
        query: { ...(Array.isArray(picked.ids) ? { ids: picked.ids.join(',') } : (picked as Query)), act },
        signal,
      }),
    staleTime: 0,
    refetchInterval: askEvery,
  })
}

export function useSummary(filter: Filter) {
  return useQuery({
    queryKey: ['queue', 'summary', filter],
    queryFn: ({ signal }) => api.get<QueueSummary>('/queue/summary', { query: queryOf(filter), signal }),
    refetchInterval: askEvery,
    placeholderData: keepPreviousData,
  })
}

export function useQueue(filter: Filter) {
  return useInfiniteQuery({
    queryKey: ['queue', 'entries', filter],
    queryFn: ({ pageParam, signal }) =>
      api.get<Queue>('/queue', { query: { ...queryOf(filter), limit: 200, cursor: pageParam || undefined }, signal }),
    initialPageParam: '',
    getNextPageParam: (page) => page.next || undefined,
    refetchInterval: askEvery,
    placeholderData: keepPreviousData,
  })
}

/** All entries of one message: it has one for each destination. */
export function useMessage(entry: QueuedMail) {
  return useQuery({
    queryKey: ['queue', 'message', entry.server, entry.message],
    queryFn: ({ signal }) =>
      api.get<Queue>('/queue', { query: { message: entry.message, server: entry.server, limit: 1000 }, signal }),
    refetchInterval: askEvery,
  })
}
