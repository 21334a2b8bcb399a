import { createContext, type ReactNode, use, useCallback, useMemo, useRef, useState } from 'react'
import { ProblemError } from '../api/client'
import { useText } from '../text/language'
import { useSentence } from './Feedback'
import { Glyph } from './Glyph'
import type { Tone } from './State'

interface Toast {
  id: number
  tone: Tone
  text: string
}

export interface Tell {
  done: (text: string) => void
  failed: (error: unknown) => void
}

const ToastContext = createContext<Tell>({ done: () => {}, failed: () => {} })

/** Says briefly how something went. */
export const useTell = () => use(ToastContext)

/** How long good news stays. Bad news stays until it is closed. */
const goodFor = 5_000

export function Toasts({ children }: { children: ReactNode }) {
  const { t } = useText()
  const sentence = useSentence()
  const [toasts, setToasts] = useState<Toast[]>([])
  const next = useRef(0)
  const close = useCallback((id: number) => setToasts((all) => all.filter((x) => x.id !== id)), [])
  const add = useCallback(
    (tone: Tone, text: string) => {
      const id = next.current++
      setToasts((all) => [...all.slice(-3), { id, tone, text }])
      if (tone === 'good') setTimeout(() => close(id), goodFor)
    },
    [close],
  )
  const tell = useMemo<Tell>(
    () => ({
      done: (text) => add('good', text),
      failed: (e) => {
        const id = e instanceof ProblemError && e.requestId ? ` (${t('error.request')} ${e.requestId})` : ''
        add('bad', sentence(e) + id)
      },
    }),
    [add, sentence, t],
  )
  return (
    <ToastContext value={tell}>
      {children}
      <div className="toasts" role="status">
        {toasts.map((toast) => (
          <div key={toast.id} className="toast" data-tone={toast.tone}>
            <Glyph name={toast.tone === 'good' ? 'up' : 'warning'} />
            <span>{toast.text}</span>
            <button type="button" onClick={() => close(toast.id)} aria-label={t('action.close')}>
              <Glyph name="close" size={14} />
            </button>
          </div>
        ))}
      </div>
    </ToastContext>
  )
}
