import { NativeSelect, TextInput } from '@mantine/core'
import type { OperationKind } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { useText } from '../text/language'
import { useKindText } from './data'
import type { Order } from './Operate'

interface SelectorDialogProps {
  acts: readonly OperationKind[]
  example: string
  onOrder: (o: Order) => void
  onClose: () => void
}

/** Asks what is to be done to what a selector covers; the impact is shown next. */
export function SelectorDialog({ acts, example, onOrder, onClose }: SelectorDialogProps) {
  const { t } = useText()
  const kindText = useKindText()
  const first: { kind: OperationKind; selector: string } = { kind: acts[0] ?? 'service.restart', selector: '' }
  const form = useForm(first, async ({ kind, selector }) => onOrder({ kind, selector: selector.trim() }))
  return (
    <Dialog title={t('bulk.selectorTitle')} onClose={onClose}>
      <Form form={form} submit={t('bulk.next')} onCancel={onClose}>
        {acts.length > 1 ? (
          <NativeSelect
            label={t('operation.act')}
            data={acts.map((k) => ({ value: k, label: kindText(k) }))}
            {...form.text('kind')}
          />
        ) : (
          <p>{kindText(first.kind)}</p>
        )}
        <TextInput
          label={t('operation.selector')}
          description={t('bulk.selectorHint')}
          placeholder={example}
          required
          spellCheck={false}
          autoComplete="off"
          {...form.text('selector')}
        />
      </Form>
    </Dialog>
  )
}
