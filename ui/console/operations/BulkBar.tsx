import { Button } from '@mantine/core'
import { useState } from 'react'
import type { OperationKind, Target } from '../api/types'
import { Glyph } from '../parts/Glyph'
import { useText } from '../text/language'
import { dangerous } from './kinds'
import { Operate, type Order } from './Operate'
import { SelectorDialog } from './SelectorDialog'

interface BulkBarProps {
  /** How many are chosen, in words. */
  chosen: string
  acts: readonly OperationKind[]
  /** What an act is done to. */
  targets: (kind: OperationKind) => Target[]
  onClear: () => void
}

/** What can be done to all that is chosen; stays in sight at the bottom. */
export function BulkBar({ chosen, acts, targets, onClear }: BulkBarProps) {
  const { t } = useText()
  const [order, setOrder] = useState<Order>()
  return (
    <>
      <section className="bulk" aria-label={t('bulk.label')}>
        <b role="status">{chosen}</b>
        <div className="bulk-acts">
          {acts.map((kind) => (
            <Button
              key={kind}
              size="xs"
              variant="default"
              data-danger={dangerous(kind)}
              onClick={() => setOrder({ kind, targets: targets(kind) })}
            >
              {t(`act.${kind}`)}
            </Button>
          ))}
        </div>
        <Button size="xs" variant="subtle" leftSection={<Glyph name="close" size={14} />} onClick={onClear}>
          {t('bulk.clear')}
        </Button>
      </section>
      <Operate order={order} onClose={() => setOrder(undefined)} />
    </>
  )
}

/** Does something to all that a selector covers. */
export function BySelector({ acts, example }: { acts: readonly OperationKind[]; example: string }) {
  const { t } = useText()
  const [open, setOpen] = useState(false)
  return (
    <>
      <Button size="sm" variant="default" onClick={() => setOpen(true)}>
        {t('bulk.selector')}
      </Button>
      {open && <SelectorPart acts={acts} example={example} onClose={() => setOpen(false)} />}
    </>
  )
}

function SelectorPart({
  acts,
  example,
  onClose,
}: {
  acts: readonly OperationKind[]
  example: string
  onClose: () => void
}) {
  const [order, setOrder] = useState<Order>()
  if (order) return <Operate order={order} onClose={onClose} />
  return <SelectorDialog acts={acts} example={example} onOrder={setOrder} onClose={onClose} />
}
