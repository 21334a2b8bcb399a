import { NativeSelect } from '@mantine/core'
import { useState } from 'react'
import type { OperationState } from '../api/types'
import { Screen } from '../parts/Screen'
import { useText } from '../text/language'
import { useOperations } from './data'
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

/** Everything that was asked of servers and services. */
export default function Operations() {
  const { t } = useText()
  const [state, setState] = useState<OperationState>()
  const list = useOperations({ state })
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
      </div>
      <OperationTable list={list} />
    </Screen>
  )
}
