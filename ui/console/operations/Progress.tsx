import type { Operation } from '../api/types'
import { useText } from '../text/language'
import { progress } from './kinds'

/** How many steps have ended, as a bar and in words. */
export function Progress({ operation }: { operation: Operation }) {
  const { t } = useText()
  const { done, all, failed } = progress(operation.steps)
  const text = t('operation.done', { done, all })
  return (
    <span className="progress" data-tone={failed > 0 ? 'bad' : done === all ? 'good' : 'busy'}>
      <span className="progress-bar" aria-hidden="true">
        <span style={{ width: `${all === 0 ? 0 : (done / all) * 100}%` }} />
      </span>
      <span className="figures">{text}</span>
      {failed > 0 && <span className="progress-failed">{t('operation.failed', { count: failed })}</span>}
    </span>
  )
}
