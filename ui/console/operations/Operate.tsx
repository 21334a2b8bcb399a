import { lazy, Suspense } from 'react'
import type { Order } from './OperateDialog'

const OperateDialog = lazy(() => import('./OperateDialog'))

export type { Order }

/** The dialog over an order, loaded when it is first needed; nothing without one. */
export function Operate({ order, onClose }: { order: Order | undefined; onClose: () => void }) {
  if (!order) return null
  return (
    <Suspense>
      <OperateDialog order={order} onClose={onClose} />
    </Suspense>
  )
}
