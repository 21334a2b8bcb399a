import { NativeSelect } from '@mantine/core'
import { useState } from 'react'
import type { OperationKind, OperationState } from '../api/types'
import { Screen } from '../parts/Screen'
import { useText } from '../text/language'
import { useKindText, useOperations } from './data'
import { kinds } from './kinds'
import { OperationTable } from './OperationTable'

const states: OperationState[] = [
  'queued',
  'delivered',
  'running',
  'succeeded',
  'failed',
  'expired',
  'unknown',
  'cancelled',
]

/** Everything that was asked of servers and services, and how far it is. */
export default function Operations() {
  const { t } = useText()
  const kindText = useKindText()
  const [state, setState] = useState<OperationState>()
  const [kind, setKind] = useState<OperationKind>()
  const list = useOperations({ state, kind })
  return (
    <Screen title={t('nav.operations')}>
      <div className="toolbar">
        <NativeSelect
          aria-label={t('operation.state')}
          value={state ?? ''}
          onChange={(e) => setState((e.currentTarget.value || undefined) as OperationState | undefined)}
          data={[
            { value: '', label: t('operation.anyState') },
            ...states.map((s) => ({ value: s, label: t(`state.operation.${s}`) })),
          ]}
        />
        <NativeSelect
          aria-label={t('operation.filterKind')}
          value={kind ?? ''}
          onChange={(e) => setKind((e.currentTarget.value || undefined) as OperationKind | undefined)}
          data={[{ value: '', label: t('operation.anyKind') }, ...kinds.map((k) => ({ value: k, label: kindText(k) }))]}
        />
      </div>
      <OperationTable list={list} />
    </Screen>
  )
}
