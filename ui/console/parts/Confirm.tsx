import type { ReactNode } from 'react'
import { Dialog } from './Dialog'
import { Form, useForm } from './Form'

interface ConfirmProps {
  title: string
  /** The button: what will be done, as a verb. */
  action: string
  danger?: boolean
  /** The button that does not do it, where "cancel" would be ambiguous. */
  keep?: string
  onConfirm: () => Promise<void>
  onClose: () => void
  /** What will happen. */
  children: ReactNode
}

/** Asks before something is done that cannot simply be undone. */
export function Confirm({ title, action, danger, keep, onConfirm, onClose, children }: ConfirmProps) {
  const form = useForm({}, async () => {
    await onConfirm()
    onClose()
  })
  return (
    <Dialog title={title} onClose={onClose}>
      <Form form={form} submit={action} danger={danger} keep={keep} onCancel={onClose}>
        <div>{children}</div>
      </Form>
    </Dialog>
  )
}
