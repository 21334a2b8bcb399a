import { Button } from '@mantine/core'
import type { OperationKind } from '../api/types'
import { dangerous, queueActs } from '../operations/kinds'
import { useText } from '../text/language'

/** What can be done with queued mail: all that the filter picks, or one entry. */
export function Acts({ count, onAct }: { count?: number; onAct: (kind: OperationKind) => void }) {
  const { t } = useText()
  return (
    <section className="queue-acts" aria-label={t('queue.acts')}>
      {count !== undefined && <b role="status">{t('queue.picked', { count })}</b>}
      <div className="bulk-acts">
        {queueActs.map((kind) => (
          <Button key={kind} size="xs" variant="default" data-danger={dangerous(kind)} onClick={() => onAct(kind)}>
            {t(`act.${kind}`)}
          </Button>
        ))}
      </div>
    </section>
  )
}
