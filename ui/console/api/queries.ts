import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { useCallback, useMemo } from 'react'
import { api, ProblemError, type Query } from './client'
import type { Page, Policy, Server, Session, Status } from './types'

// What several screens ask for. What only one asks for stands beside it.

/** Who is signed in; null when nobody is. */
export function useSession() {
  return useQuery({
    queryKey: ['session'],
    queryFn: async ({ signal }) => {
      try {
        const session = await api.get<Session>('/session', { signal })
        api.csrf = session.csrf
        return session
      } catch (e) {
        if (e instanceof ProblemError && e.status === 401) return null
        throw e
      }
    },
    staleTime: Number.POSITIVE_INFINITY,
  })
}

/** Whether the signed-in person reads a resource at all; what they may not read is not asked for. */
const useReads = (resource: string) => useSession().data?.rights.includes(`${resource}:read`) ?? false

export function useStatus() {
  return useQuery({
    queryKey: ['status'],
    enabled: useReads('status'),
    queryFn: ({ signal }) => api.get<Status>('/status', { signal }),
    refetchInterval: 60_000, // no event tells of the controller's own problems
  })
}

/** All servers of the fleet, kept fresh by the event stream. */
export function useServers() {
  return useQuery({
    queryKey: ['servers'],
    enabled: useReads('servers'),
    queryFn: ({ signal }) => api.all<Server>('/servers', { signal }),
  })
}

/** Finds a server's name by its id; the id's beginning while it is not known. */
export function useServerName(): (id: string) => string {
  const servers = useServers().data
  const names = useMemo(() => new Map(servers?.map((s) => [s.id, s.name])), [servers])
  return useCallback((id: string) => names.get(id) ?? id.slice(0, 8), [names])
}

/** A list of the API, page after page. */
export function useList<T>(noun: string, filter: Query = {}, limit = 100) {
  return useInfiniteQuery({
    queryKey: [noun, 'list', filter],
    queryFn: ({ pageParam, signal }) =>
      api.get<Page<T>>(`/${noun}`, { query: { ...filter, limit, cursor: pageParam || undefined }, signal }),
    initialPageParam: '',
    getNextPageParam: (page) => page.next || undefined,
  })
}

export type List<T> = ReturnType<typeof useList<T>>

/** All of a noun, to choose one from or to find names; nothing where one may not read it. */
export function useAll<T>(noun: string): T[] {
  const all = useQuery({
    queryKey: [noun, 'all'],
    enabled: useReads(noun),
    queryFn: ({ signal }) => api.all<T>(`/${noun}`, { signal }),
  })
  return all.data ?? none
}

const none: never[] = []

/** What the fleet asks of people. */
export function usePolicy() {
  return useQuery({ queryKey: ['policy'], queryFn: ({ signal }) => api.get<Policy>('/policy', { signal }) })
}

/** Reads a noun's queries again after a change that the event stream may tell of only later. */
export function useReread() {
  const client = useQueryClient()
  return useCallback((noun: string) => client.invalidateQueries({ queryKey: [noun] }), [client])
}
