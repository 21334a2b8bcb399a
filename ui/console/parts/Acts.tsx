import { Button } from '@mantine/core'
import type { ReactNode } from 'react'
import { api, ifMatch } from '../api/client'
import { useReread } from '../api/queries'
import type { Meta } from '../api/types'
import { useText } from '../text/language'
import { Confirm } from './Confirm'

/** A button in a row; `of` tells screen readers which row's. */
export function Act({ label, of, onClick, busy }: { label: string; of: string; onClick: () => void; busy?: boolean }) {
  return (
    <Button size="xs" variant="default" loading={busy} onClick={onClick} aria-label={`${label}: ${of}`}>
      {label}
    </Button>
  )
}

interface DeleteProps {
  noun: string
  thing: Meta
  title: string
  /** The button; "delete" without it. */
  action?: string
  onClose: () => void
  children: ReactNode
}

/** Asks before a thing of the API is deleted, in the version that is shown. */
export function Delete({ noun, thing, title, action, onClose, children }: DeleteProps) {
  const { t } = useText()
  const reread = useReread()
  const onConfirm = async () => {
    await api.change('DELETE', `/${noun}/${thing.id}`, { headers: ifMatch(thing) })
    await reread(noun)
  }
  return (
    <Confirm title={title} action={action ?? t('action.delete')} danger onConfirm={onConfirm} onClose={onClose}>
      {children}
    </Confirm>
  )
}
