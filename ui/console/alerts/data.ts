import { useMutation } from '@tanstack/react-query'
import { api } from '../api/client'
import { useList, useReread } from '../api/queries'
import type { Alert } from '../api/types'
import { useTell } from '../parts/Toasts'

export interface AlertsOf {
  state?: Alert['state']
  server?: string
}

export const useAlerts = (filter: AlertsOf) => useList<Alert>('alerts', { ...filter })

/** Takes an alert: from now on it is somebody's. */
export function useAcknowledge() {
  const tell = useTell()
  const reread = useReread()
  return useMutation({
    mutationFn: (id: string) => api.change('POST', `/alerts/${id}/acknowledge`),
    onSuccess: () => reread('alerts'),
    onError: tell.failed,
  })
}
