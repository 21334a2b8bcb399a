import { Button } from '@mantine/core'
import type { OperationKind } from '../api/types'
import { useRights } from '../app/rights'
import { dangerous, queueActs } from '../operations/kinds'
import { useText } from '../text/language'

export type QueueKind = (typeof queueActs)[number]

interface ActsProps {
  count?: number
  acts: readonly QueueKind[]
  onAct: (kind: OperationKind) => void
}

/** What can be done with queued mail: all that the filter picks, or one entry. */
export function Acts({ count, acts, onAct }: ActsProps) {
  const { t } = useText()
  return (
    <section className="queue-acts" aria-label={t('queue.acts')}>
      {count !== undefined && <b role="status">{t('queue.picked', { count })}</b>}
      <div className="bulk-acts">
        {acts.map((kind) => (
          <Button key={kind} size="xs" variant="default" data-danger={dangerous(kind)} onClick={() => onAct(kind)}>
            {t(`act.${kind}`)}
          </Button>
        ))}
      </div>
    </section>
  )
}

/** What the signed-in person may do: operators everything, who looks after domains some of it with what those send and wait for. */
export function useActs(): { acts: readonly QueueKind[]; own: boolean } {
  const may = useRights()
  if (may('operations', 'write'))
    return { acts: queueActs.filter((k) => k !== 'queue.export' || may('queued-messages', 'read')), own: false }
  const acts: QueueKind[] = []
  if (may('queue', 'suspend')) acts.push('queue.hold', 'queue.release')
  if (may('queue', 'delete')) acts.push('queue.delete')
  return { acts, own: true }
}
