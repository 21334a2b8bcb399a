import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useRef } from 'react'
import { address, api } from '../api/client'
import { useList, useReread, useServerName } from '../api/queries'
import type { Impact, NewOperation, Operation, OperationKind, OperationState, Release } from '../api/types'
import { useTell } from '../parts/Toasts'
import { useText } from '../text/language'

export interface OperationsOf {
  state?: OperationState
  kind?: OperationKind
  server?: string
}

export const useOperations = (filter: OperationsOf = {}) => useList<Operation>('operations', { ...filter })

export function useOperation(id: string) {
  return useQuery({
    queryKey: ['operations', 'one', id],
    queryFn: ({ signal }) => api.get<Operation>(`/operations/${id}`, { signal }),
  })
}

/** Names a kind, such as "restart services". */
export function useKindText(): (kind: OperationKind) => string {
  const { t } = useText()
  return (kind) => t(`kind.${kind}`, { defaultValue: kind })
}

/** Says in words what an operation does to what. */
export function useOperationText(): (o: Pick<NewOperation, 'kind' | 'targets' | 'selector'>) => string {
  const { t } = useText()
  const serverName = useServerName()
  const kindText = useKindText()
  return ({ kind, targets = [], selector }) => {
    const [first] = targets
    if (targets.length === 1 && first)
      return t(`operation.${kind}`, { service: first.service, server: serverName(first.server), defaultValue: kind })
    if (targets.length === 0 && selector) return t('operation.selected', { kind: kindText(kind), selector })
    return t('operation.several', { kind: kindText(kind), count: targets.length })
  }
}

/** The releases that a kind can put in force, newest first. */
export function useReleases(kind: OperationKind) {
  const agent = kind === 'agent.upgrade'
  return useQuery({
    queryKey: ['releases', 'all'],
    queryFn: ({ signal }) => api.all<Release>('/releases', { signal }),
    select: (all) =>
      all
        .filter((r) => (r.program === 'mailfleet-agent') === agent)
        .sort((a, b) => Date.parse(b.created) - Date.parse(a.created)),
  })
}

/** How often the impact is looked at again while one thinks about it, in ms. */
const lookAgain = 10_000

/** What an operation would do, as the fleet is now. */
export function usePreview(body: NewOperation, enabled: boolean) {
  return useQuery({
    queryKey: ['preview', body],
    queryFn: ({ signal }) => api.change<Impact>('POST', '/operations/preview', { body, signal }),
    enabled,
    placeholderData: keepPreviousData,
    refetchInterval: (q) => (q.state.error ? false : lookAgain),
    retry: false,
    staleTime: 0,
    gcTime: 0,
  })
}

/** Has the browser fetch what an export hands out: once, and before the operation expires. */
export function fetchExport(id: string) {
  const link = document.createElement('a')
  link.href = address(`/operations/${id}/export`)
  link.download = `queue-${id}.zip`
  link.click()
}

/** Asks for an operation; who asks shows its failure. Asked again after a lost answer, it is still one. */
export function useOperate() {
  const { t } = useText()
  const client = useQueryClient()
  const tell = useTell()
  const reread = useReread()
  const text = useOperationText()
  /** What was asked without an answer, and its key. */
  const open = useRef({ request: '', key: '' })
  return useMutation({
    mutationFn: (body: NewOperation) => {
      const request = JSON.stringify(body)
      if (open.current.request !== request) open.current = { request, key: crypto.randomUUID() }
      const headers = { 'Idempotency-Key': open.current.key }
      const ask = () => api.change<Operation>('POST', '/operations', { body, headers })
      return ask().catch((e) => {
        if (e.status !== 0) throw e
        return ask()
      })
    },
    onSuccess: (operation) => {
      client.setQueryData(['operations', 'one', operation.id], operation)
      void reread('operations')
      tell.done(t('operation.asked', { what: text(operation) }))
    },
    onSettled: (_done, e) => {
      if ((e as { status?: number } | null)?.status !== 0) open.current = { request: '', key: '' }
    },
  })
}

/** Has one's word on an operation take effect. */
export function useDecide(word: 'cancel' | 'approve') {
  const client = useQueryClient()
  const reread = useReread()
  return useMutation({
    mutationFn: (id: string) => api.change<Operation>('POST', `/operations/${id}/${word}`),
    onSuccess: (operation) => {
      client.setQueryData(['operations', 'one', operation.id], operation)
      return reread('operations')
    },
  })
}
