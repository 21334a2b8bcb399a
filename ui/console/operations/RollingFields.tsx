import { Checkbox, TextInput } from '@mantine/core'
import type { NewOperation, OperationKind } from '../api/types'
import type { useForm } from '../parts/Form'
import { useText } from '../text/language'
import { interrupts } from './kinds'

/** How to go over the targets, as it is typed. */
export interface RollingDraft {
  rolling: boolean
  batch: string
  unavailable: string
  health: string
  drain: boolean
  compensate: boolean
}

export function rollingOf(v: RollingDraft, kind: OperationKind): NewOperation['rolling'] {
  if (!v.rolling) return undefined
  const count = (text: string) => (text.trim() === '' ? undefined : Number(text))
  return {
    batch: count(v.batch),
    max_unavailable: count(v.unavailable),
    health: v.health.trim() === '' ? undefined : `${Number(v.health)}s`,
    drain: interrupts(kind) && v.drain,
    compensate: v.compensate,
  }
}

interface RollingProps {
  kind: OperationKind
  form: Pick<ReturnType<typeof useForm<RollingDraft>>, 'values' | 'set'> & {
    text: (name: 'batch' | 'unavailable' | 'health') => object
  }
}

/** Whether several targets are taken in batches, and how. */
export function RollingFields({ kind, form }: RollingProps) {
  const { t } = useText()
  const v = form.values
  return (
    <fieldset className="rolling">
      <Checkbox
        label={t('operate.rolling')}
        checked={v.rolling}
        onChange={(e) => form.set('rolling', e.currentTarget.checked)}
      />
      {v.rolling && (
        <>
          <p className="dim form-hint">{t('operate.rollingHint')}</p>
          <div className="form-row">
            <TextInput label={t('operate.batch')} type="number" min={1} {...form.text('batch')} />
            <TextInput
              label={t('operate.unavailable')}
              title={t('operate.unavailableHint')}
              type="number"
              min={1}
              {...form.text('unavailable')}
            />
            <TextInput label={t('operate.health')} type="number" min={0} max={3600} {...form.text('health')} />
          </div>
          <div className="form-checks">
            {interrupts(kind) && (
              <Checkbox
                label={t('operate.drain')}
                checked={v.drain}
                onChange={(e) => form.set('drain', e.currentTarget.checked)}
              />
            )}
            <Checkbox
              label={t('operate.compensate')}
              checked={v.compensate}
              onChange={(e) => form.set('compensate', e.currentTarget.checked)}
            />
          </div>
        </>
      )}
    </fieldset>
  )
}
