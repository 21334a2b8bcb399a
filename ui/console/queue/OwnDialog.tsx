import { Checkbox, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { api } from '../api/client'
import type { OperationKind, QueueActed } from '../api/types'
import { dangerous } from '../operations/kinds'
import { Dialog } from '../parts/Dialog'
import { Failure, Loading } from '../parts/Feedback'
import { Form, useForm } from '../parts/Form'
import { useTell } from '../parts/Toasts'
import { useText } from '../text/language'
import { type Picked, useCount } from './data'

export interface OwnOrder {
  kind: OperationKind
  filter: Picked
}

/** Shows how much of what one's domains send and wait for is meant, and asks before something is done with it. */
export function OwnDialog({ order, onClose }: { order: OwnOrder; onClose: () => void }) {
  const { t } = useText()
  const tell = useTell()
  const client = useQueryClient()
  const act = order.kind.replace('queue.', '')
  const count = useCount(order.filter, act)
  const entries = count.data?.total.entries
  const deletes = order.kind === 'queue.delete'
  const change = useMutation({
    mutationFn: (body: object) => api.change<QueueActed>('POST', '/queue/acts', { body, query: { wait: '20s' } }),
    onSettled: () => client.invalidateQueries({ queryKey: ['queue'] }),
  })
  const form = useForm({ confirm: '', report: true, reason: '' }, async (v) => {
    const done = await change.mutateAsync({
      act,
      filter: order.filter,
      confirm: deletes ? Number(v.confirm) : undefined,
      report: deletes && v.report,
      reason: v.reason || undefined,
    })
    onClose()
    tell.done(`${t(`kind.${order.kind}`)}: ${t(`state.operation.${done.state}`)}`)
  })
  const v = form.values
  return (
    <Dialog title={t(`kind.${order.kind}`)} onClose={onClose}>
      <Form
        form={form}
        submit={t(`act.${order.kind}`)}
        danger={dangerous(order.kind)}
        waits={!entries || (deletes && v.confirm.trim() !== String(entries))}
        onCancel={onClose}
      >
        <p>{t(`effect.${order.kind}`)}</p>
        {count.isPending && <Loading rows={1} />}
        {count.error && <Failure error={count.error} retry={() => count.refetch()} />}
        {entries !== undefined && <b role="status">{t('queue.picked', { count: entries })}</b>}
        {!deletes && <p className="dim">{t('queue.ownOnly')}</p>}
        {deletes && entries !== undefined && (
          <>
            <TextInput
              label={t('operate.confirmName', { name: entries })}
              description={t('queue.confirmHint')}
              required
              inputMode="numeric"
              autoComplete="off"
              {...form.text('confirm')}
            />
            <Checkbox
              label={t('queue.tell')}
              checked={v.report}
              onChange={(e) => form.set('report', e.currentTarget.checked)}
            />
          </>
        )}
        <TextInput label={t('operate.reason')} maxLength={1000} {...form.text('reason')} />
      </Form>
    </Dialog>
  )
}
