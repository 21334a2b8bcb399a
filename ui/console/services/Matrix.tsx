import { NativeSelect, TextInput } from '@mantine/core'
import { useDeferredValue, useMemo, useState } from 'react'
import { useServers } from '../api/queries'
import type { OperationKind, ServiceState } from '../api/types'
import { useMay } from '../app/rights'
import { BulkBar, BySelector } from '../operations/BulkBar'
import { serviceActs } from '../operations/kinds'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Screen } from '../parts/Screen'
import { useSelection } from '../parts/selection'
import { useText } from '../text/language'
import { filterServers, serviceNames, targetsOf } from './data'
import { Grid } from './Grid'
import './services.css'

const states: ServiceState[] = ['running', 'starting', 'stopping', 'stopped', 'backoff', 'crashed', 'unknown']

/** What is offered over a selection; which release is to run, and which settings are to be set, is asked then. */
const offered: OperationKind[] = [...serviceActs, 'service.upgrade', 'config.apply']

/** Which service runs on which server, all at once. */
export default function Matrix() {
  const { t } = useText()
  const servers = useServers()
  const mayOperate = useMay('operations', 'write')
  const [search, setSearch] = useState('')
  const [state, setState] = useState<ServiceState>()
  const words = useDeferredValue(search)
  const selection = useSelection()

  const all = servers.data
  const names = useMemo(() => serviceNames(all ?? []), [all])
  const shown = useMemo(() => filterServers(all ?? [], { words, state }), [all, words, state])
  const targets = targetsOf(all ?? [], selection.chosen) // those that are gone are no longer chosen

  return (
    <Screen
      title={t('nav.services')}
      aside={mayOperate && <BySelector acts={offered} example="region=hk,service=mailnode" />}
    >
      {servers.isPending && <Loading rows={8} />}
      {servers.error && <Failure error={servers.error} retry={() => servers.refetch()} />}
      {all && names.length === 0 && <Empty title={t('matrix.none')} />}
      {names.length > 0 && (
        <>
          <div className="toolbar">
            <TextInput
              type="search"
              size="sm"
              aria-label={t('matrix.search')}
              placeholder={t('matrix.search')}
              leftSection={<Glyph name="search" />}
              value={search}
              onChange={(e) => setSearch(e.currentTarget.value)}
            />
            <NativeSelect
              size="sm"
              aria-label={t('service.state')}
              value={state ?? ''}
              onChange={(e) => setState((e.currentTarget.value || undefined) as ServiceState | undefined)}
              data={[
                { value: '', label: t('operation.anyState') },
                ...states.map((s) => ({ value: s, label: t(`state.service.${s}`) })),
              ]}
            />
          </div>
          {shown.length === 0 && <Empty title={t('overview.none')} />}
          {shown.length > 0 && (
            <Grid servers={shown} names={names} state={state} selection={mayOperate ? selection : undefined} />
          )}
        </>
      )}
      {targets.length > 0 && (
        <BulkBar
          chosen={t('bulk.services', { count: targets.length })}
          acts={offered}
          targets={() => targets}
          onClear={selection.clear}
        />
      )}
    </Screen>
  )
}
