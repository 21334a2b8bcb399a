import { TextInput } from '@mantine/core'
import type { ReactNode } from 'react'
import { useText } from '../text/language'
import { Dialog } from './Dialog'
import { Form, useForm } from './Form'

interface ConfirmProps {
  title: string
  /** The button: what will be done, as a verb. */
  action: string
  danger?: boolean
  /** Asks for a reason, kept in the audit log. */
  wantReason?: boolean
  onConfirm: (reason: string) => Promise<void>
  onClose: () => void
  /** What will happen. */
  children: ReactNode
}

/** Asks before something is done that cannot simply be undone. */
export function Confirm({ title, action, danger, wantReason, onConfirm, onClose, children }: ConfirmProps) {
  const { t } = useText()
  const form = useForm({ reason: '' }, async ({ reason }) => {
    await onConfirm(reason)
    onClose()
  })
  return (
    <Dialog title={title} onClose={onClose}>
      <Form form={form} submit={action} danger={danger} onCancel={onClose}>
        <div>{children}</div>
        {wantReason && <TextInput label={t('confirm.reason')} maxLength={1000} {...form.text('reason')} />}
      </Form>
    </Dialog>
  )
}
