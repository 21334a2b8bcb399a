import { Button, Skeleton } from '@mantine/core'
import { type ReactNode, useCallback } from 'react'
import { ProblemError } from '../api/client'
import { useText } from '../text/language'
import { Glyph } from './Glyph'

/** One sentence for a person about any error. */
export function useSentence(): (e: unknown) => string {
  const { t, say } = useText()
  return useCallback(
    (e) => {
      if (e instanceof ProblemError) return e.status === 0 ? t('error.network') : say(e.message, e.said)
      return e instanceof Error ? e.message : t('error.unexpected')
    },
    [t, say],
  )
}

/** The request to ask the operator's log about. */
export function RequestId({ error }: { error: unknown }) {
  const { t } = useText()
  if (!(error instanceof ProblemError) || !error.requestId) return null
  return (
    <p className="request-id">
      {t('error.request')} <code>{error.requestId}</code>
    </p>
  )
}

/** Something could not be had: why, and a way to try again. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const { t } = useText()
  const sentence = useSentence()
  return (
    <div className="notice" data-tone="bad" role="alert">
      <Glyph name="warning" size={20} />
      <div>
        <p className="notice-title">{t('error.title')}</p>
        <p>{sentence(error)}</p>
        <RequestId error={error} />
        {retry && (
          <Button size="xs" variant="default" onClick={retry}>
            {t('action.retry')}
          </Button>
        )}
      </div>
    </div>
  )
}

/** There is nothing, and what to do about it. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children}
    </div>
  )
}

/** Holds the place of `rows` rows while they are on their way. */
export function Loading({ rows = 6, height = 36 }: { rows?: number; height?: number }) {
  const { t } = useText()
  return (
    <div className="loading" role="status" aria-label={t('state.loading')}>
      {Array.from({ length: rows }, (_, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows are all alike
        <Skeleton key={i} height={height - 8} radius="sm" />
      ))}
    </div>
  )
}
