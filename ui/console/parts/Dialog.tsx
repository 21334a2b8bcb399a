import { ActionIcon } from '@mantine/core'
import { type ReactNode, useEffect, useId, useRef } from 'react'
import { useText } from '../text/language'
import { Glyph } from './Glyph'

interface DialogProps {
  title: string
  onClose: () => void
  /** "drawer" slides in at the side and is tall. */
  kind?: 'dialog' | 'drawer'
  children: ReactNode
}

/** A modal window over the browser's own dialog: it keeps the focus, Esc closes it. */
export function Dialog({ title, onClose, kind = 'dialog', children }: DialogProps) {
  const { t } = useText()
  const ref = useRef<HTMLDialogElement>(null)
  const heading = useId()

  useEffect(() => {
    const dialog = ref.current
    const before = document.activeElement
    dialog?.showModal()
    return () => {
      dialog?.close()
      if (before instanceof HTMLElement) before.focus()
    }
  }, [])

  return (
    <dialog
      ref={ref}
      className="dialog"
      data-kind={kind}
      aria-labelledby={heading}
      onCancel={(e) => {
        e.preventDefault()
        onClose()
      }}
    >
      <header className="dialog-head">
        <h2 id={heading}>{title}</h2>
        <ActionIcon variant="subtle" color="gray" onClick={onClose} aria-label={t('action.close')}>
          <Glyph name="close" />
        </ActionIcon>
      </header>
      <div className="dialog-body">{children}</div>
    </dialog>
  )
}
