import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api } from '../api/client'
import { useList, useReread, useServerName } from '../api/queries'
import type { NewOperation, Operation, OperationState } from '../api/types'
import { useTell } from '../parts/Toasts'
import { useText } from '../text/language'

export interface OperationsOf {
  state?: OperationState
  server?: string
}

export const useOperations = (filter: OperationsOf = {}) => useList<Operation>('operations', { ...filter })

export function useOperation(id: string) {
  return useQuery({
    queryKey: ['operations', 'one', id],
    queryFn: ({ signal }) => api.get<Operation>(`/operations/${id}`, { signal }),
  })
}

/** Says in words what an operation does to what. */
export function useOperationText(): (o: Pick<Operation, 'kind' | 'targets'>) => string {
  const { t } = useText()
  const serverName = useServerName()
  return ({ kind, targets }) => {
    const [first] = targets
    if (targets.length === 1 && first)
      return t(`operation.${kind}`, { service: first.service, server: serverName(first.server), defaultValue: kind })
    return t('operation.several', { kind: t(`kind.${kind}`, { defaultValue: kind }), count: targets.length })
  }
}

/** Asks for an operation; who asks shows its failure. Asked again after a lost answer, it is still one. */
export function useOperate() {
  const { t } = useText()
  const client = useQueryClient()
  const tell = useTell()
  const reread = useReread()
  const text = useOperationText()
  return useMutation({
    mutationFn: (body: NewOperation) => {
      const key = crypto.randomUUID()
      const ask = () => api.change<Operation>('POST', '/operations', { body, headers: { 'Idempotency-Key': key } })
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
  })
}

/** Cancels an operation that no agent has been handed yet. */
export function useCancel() {
  const tell = useTell()
  const reread = useReread()
  return useMutation({
    mutationFn: (id: string) => api.change('POST', `/operations/${id}/cancel`),
    onSuccess: () => reread('operations'),
    onError: tell.failed,
  })
}
