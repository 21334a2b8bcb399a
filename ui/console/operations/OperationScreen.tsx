import { Button } from '@mantine/core'
import { getRouteApi } from '@tanstack/react-router'
import { useState } from 'react'
import { useSession } from '../api/queries'
import type { Operation } from '../api/types'
import { useMay } from '../app/rights'
import { Confirm } from '../parts/Confirm'
import { Failure, Loading } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Screen, Section } from '../parts/Screen'
import { Until } from '../parts/Time'
import { useTell } from '../parts/Toasts'
import { actorName } from '../text/format'
import { useText } from '../text/language'
import { fetchExport, useDecide, useOperation, useOperationText } from './data'
import { final, handsOut } from './kinds'
import { Operate, type Order } from './Operate'
import { OperationFacts } from './OperationFacts'
import './operations.css'
import { StepTable } from './StepTable'

const route = getRouteApi('/operations/$id')

/** One operation: what was asked, by whom, and how each step went. */
export default function OperationScreen() {
  const { t } = useText()
  const operation = useOperation(route.useParams().id)
  const text = useOperationText()
  const o = operation.data
  return (
    <Screen title={o ? text(o) : t('operation.one')} aside={o && <Acts operation={o} />}>
      {operation.isPending && <Loading />}
      {operation.error && <Failure error={operation.error} retry={() => operation.refetch()} />}
      {o && <Body operation={o} />}
    </Screen>
  )
}

/** The same once more, for the targets that were not done. */
function again(o: Operation): Order {
  const missed = o.steps.filter((s) => !s.undo && !s.kind && s.state !== 'succeeded').map((s) => s.target)
  return { kind: o.kind, targets: missed.length > 0 ? missed : o.targets, params: o.params }
}

function Acts({ operation: o }: { operation: Operation }) {
  const { t } = useText()
  const text = useOperationText()
  const mayChange = useMay('operations', 'write')
  const mayExport = useMay('queued-messages', 'read')
  const cancel = useDecide('cancel')
  const [cancelling, setCancelling] = useState(false)
  const [order, setOrder] = useState<Order>()
  if (!mayChange) return null
  const cancellable =
    !final(o.state) && o.steps.some((s) => s.state === 'queued' || (handsOut(o.kind) && s.state === 'running'))
  const waits = handsOut(o.kind) && o.state === 'queued' && (!o.approval || o.approval.by)
  const missed = final(o.state) && o.state !== 'succeeded' && o.kind !== 'server.add'
  return (
    <div className="acts">
      {waits && mayExport && <Button onClick={() => fetchExport(o.id)}>{t('operation.download')}</Button>}
      {cancellable && (
        <Button variant="default" onClick={() => setCancelling(true)}>
          {t('operation.cancel')}
        </Button>
      )}
      {missed && (
        <Button variant="default" onClick={() => setOrder(again(o))}>
          {t('operation.retry')}
        </Button>
      )}
      {cancelling && (
        <Confirm
          title={t('operation.cancelTitle', { what: text(o) })}
          action={t('operation.cancel')}
          keep={t('operation.keep')}
          danger
          onConfirm={async () => {
            await cancel.mutateAsync(o.id)
          }}
          onClose={() => setCancelling(false)}
        >
          <p>{t('operation.cancelText')}</p>
        </Confirm>
      )}
      <Operate order={order} onClose={() => setOrder(undefined)} />
    </div>
  )
}

/** Waits for somebody else than who asked. */
function Approval({ operation: o }: { operation: Operation }) {
  const { t } = useText()
  const tell = useTell()
  const me = useSession().data?.user
  const mayChange = useMay('operations', 'write')
  const approve = useDecide('approve')
  if (!o.approval || o.approval.by || final(o.state)) return null
  return (
    <div className="notice" data-tone="busy">
      <Glyph name="waiting" />
      <div>
        <p>
          {t('operation.waitsApproval')} <Until at={o.approval.expires} />
        </p>
        {mayChange && actorName(o.actor) !== me && (
          <Button size="xs" loading={approve.isPending} onClick={() => approve.mutate(o.id, { onError: tell.failed })}>
            {t('operation.approve')}
          </Button>
        )}
      </div>
    </div>
  )
}

function Body({ operation: o }: { operation: Operation }) {
  const { t, say } = useText()
  const asked = o.steps.filter((s) => !s.undo)
  const undone = o.steps.filter((s) => s.undo)
  return (
    <>
      <Approval operation={o} />
      {o.stopped && (
        <div className="notice" data-tone="bad">
          <Glyph name="warning" />
          <div>
            <p className="notice-title">{t('operation.stopped')}</p>
            <p>{say(o.stopped, o.said)}</p>
          </div>
        </div>
      )}
      <OperationFacts operation={o} />
      <Section title={t('operation.steps')}>
        <StepTable label={t('operation.steps')} operation={o} steps={asked} />
      </Section>
      {undone.length > 0 && (
        <Section title={t('operation.undone')}>
          <StepTable label={t('operation.undone')} operation={o} steps={undone} />
        </Section>
      )}
    </>
  )
}
