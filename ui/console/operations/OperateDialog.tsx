import { Checkbox, TextInput } from '@mantine/core'
import { useNavigate } from '@tanstack/react-router'
import type { Impact as ImpactOf, NewOperation } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Failure, Loading } from '../parts/Feedback'
import { Form, useForm } from '../parts/Form'
import { type ConfigDraft, configOf, draftOf } from '../server/config'
import { useText } from '../text/language'
import { ConfigFields } from './ConfigFields'
import { fetchExport, useOperate, useOperationText, usePreview } from './data'
import { Impact, Refusals } from './Impact'
import { dangerous, handsOut, interrupts, needsRelease } from './kinds'
import './operate.css'
import { ReleaseField } from './ReleaseField'
import { type RollingDraft, RollingFields, rollingOf } from './RollingFields'

/** What is to be done to what. */
export type Order = Pick<NewOperation, 'kind' | 'targets' | 'selector' | 'params'>

/** An order and how it is to be carried out, as the form has it. */
interface Draft extends RollingDraft {
  reason: string
  confirm: string
  override: string[]
  approval: boolean
  window: boolean
  release: string
  config: ConfigDraft
}

/** What the preview is asked: all that changes the impact. */
function wanted(order: Order, v: Draft): NewOperation {
  const params = { ...order.params }
  if (v.release) params.release = v.release.trim()
  const config = configOf(v.config)
  if (Object.values(config).some((set) => set !== undefined)) params.config = config
  return { ...order, params, rolling: rollingOf(v, order.kind) }
}

function requestOf(order: Order, v: Draft, impact: ImpactOf): NewOperation {
  return {
    ...wanted(order, v),
    reason: v.reason,
    confirm: v.confirm || undefined,
    override: v.override.length > 0 ? v.override : undefined,
    approval: v.approval || undefined,
    window: interrupts(order.kind) ? v.window : undefined,
    versions: impact.versions,
  }
}

/** Shows what an operation would do and asks before it is done: the one way to steer anything. */
export default function OperateDialog({ order, onClose }: { order: Order; onClose: () => void }) {
  const { t } = useText()
  const navigate = useNavigate()
  const text = useOperationText()
  const operate = useOperate()
  const { kind } = order
  const several = order.selector !== undefined || (order.targets?.length ?? 0) > 1
  const first: Draft = {
    reason: '',
    confirm: '',
    override: [],
    approval: false,
    window: true,
    release: order.params?.release ?? '',
    config: draftOf(),
    rolling: several && interrupts(kind),
    batch: '1',
    unavailable: '1',
    health: '5',
    drain: true,
    compensate: true,
  }
  const form = useForm(first, async (values) => {
    if (!impact) return
    const operation = await operate.mutateAsync(requestOf(order, values, impact))
    onClose()
    if (handsOut(kind) && !operation.approval) fetchExport(operation.id)
    if (several || operation.approval || handsOut(kind))
      await navigate({ to: '/operations/$id', params: { id: operation.id } })
  })
  const v = form.values
  const preview = usePreview(wanted(order, v), !needsRelease(kind) || v.release.trim() !== '')
  const impact = preview.data
  const approval = impact?.approval ?? false
  return (
    <Dialog title={text(order)} onClose={onClose}>
      <Form
        form={form}
        submit={t(`act.${kind}`)}
        danger={dangerous(kind)}
        waits={!impact || preview.isError}
        onCancel={onClose}
      >
        <p>{t(`effect.${kind}`)}</p>
        {needsRelease(kind) && <ReleaseField kind={kind} field={form.text('release')} />}
        {kind === 'config.apply' && !order.params?.config && (
          <ConfigFields draft={v.config} onChange={(config) => form.set('config', config)} complaint={form.complaint} />
        )}
        {preview.isLoading && <Loading rows={2} />}
        {preview.error && <Failure error={preview.error} retry={() => preview.refetch()} />}
        {several && <RollingFields kind={kind} form={form} />}
        {impact && !preview.error && (
          <>
            <Impact kind={kind} impact={impact} several={several} />
            <Refusals
              refusals={impact.refusals}
              chosen={v.override}
              onChoose={(names) => form.set('override', names)}
              complaint={form.complaint('override')}
            />
          </>
        )}
        <TextInput label={t('operate.reason')} maxLength={1000} {...form.text('reason')} />
        {interrupts(kind) && (
          <Checkbox
            label={t('operate.window')}
            checked={v.window}
            onChange={(e) => form.set('window', e.currentTarget.checked)}
          />
        )}
        <Checkbox
          label={t(approval ? 'operate.approvalPolicy' : 'operate.approval')}
          checked={approval || v.approval}
          disabled={approval}
          onChange={(e) => form.set('approval', e.currentTarget.checked)}
        />
        {impact?.confirm && (
          <TextInput
            label={t('operate.confirmName', { name: impact.confirm })}
            description={t(impact.targets.length > 1 ? 'operate.confirmCountHint' : 'operate.confirmNameHint')}
            required
            spellCheck={false}
            autoComplete="off"
            {...form.text('confirm')}
          />
        )}
      </Form>
    </Dialog>
  )
}
