import { Button, TextInput } from '@mantine/core'
import { lazy, Suspense, useDeferredValue, useMemo, useState } from 'react'
import { useServers } from '../api/queries'
import type { OperationKind, Server, ServerState, Target } from '../api/types'
import { useMay } from '../app/rights'
import { BulkBar, BySelector } from '../operations/BulkBar'
import { serverActs } from '../operations/kinds'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Screen } from '../parts/Screen'
import { useSelection } from '../parts/selection'
import { useText } from '../text/language'
import { Counts } from './Counts'
import { useFleetReadings } from './data'
import { FiringAlerts } from './FiringAlerts'
import { HeatMap } from './HeatMap'
import './overview.css'
import { ServerTable } from './ServerTable'

const AddServer = lazy(() => import('./AddServer'))

function matches(s: Server, words: string[]): boolean {
  const labels = Object.entries(s.labels ?? {}).map(([k, v]) => `${k}=${v}`)
  const text = [s.name, s.address, s.region, ...labels].join(' ').toLowerCase()
  return words.every((w) => text.includes(w))
}

/** What is offered over a selection of servers: their own acts, and what is done to all they run. */
const fleetActs: OperationKind[] = ['service.drain', 'service.undrain', 'config.apply', ...serverActs, 'agent.upgrade']

function targetsOf(servers: Server[], kind: OperationKind): Target[] {
  if (!kind.startsWith('service.') && kind !== 'config.apply') return servers.map((s) => ({ server: s.id }))
  return servers.flatMap((s) => s.services.map((v) => ({ server: s.id, service: v.name })))
}

/** The whole fleet at a glance. */
export default function Overview() {
  const { t } = useText()
  const servers = useServers()
  const fleet = useFleetReadings()
  const mayChange = useMay('servers', 'write')
  const mayOperate = useMay('operations', 'write')
  const selection = useSelection()
  const [adding, setAdding] = useState(false)
  const [state, setState] = useState<ServerState>()
  const [search, setSearch] = useState('')
  const words = useDeferredValue(search)

  const present = useMemo(() => servers.data?.filter((s) => s.state !== 'removed') ?? [], [servers.data])
  const shown = useMemo(() => {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean)
    return present.filter((s) => (!state || s.state === state) && matches(s, wanted))
  }, [present, state, words])

  const chosen = present.filter((s) => selection.chosen.has(s.id))

  const add = mayChange && (
    <Button size="sm" leftSection={<Glyph name="plus" />} onClick={() => setAdding(true)}>
      {t('overview.add')}
    </Button>
  )

  return (
    <Screen
      title={t('nav.overview')}
      aside={
        <>
          {mayOperate && present.length > 0 && <BySelector acts={serverActs} example="region=hk,label.role=all" />}
          {add}
        </>
      }
    >
      {servers.isPending && <Loading rows={8} />}
      {servers.error && <Failure error={servers.error} retry={() => servers.refetch()} />}
      {fleet.error && <Failure error={fleet.error} retry={() => fleet.refetch()} />}
      {servers.data && present.length === 0 && (
        <Empty title={t('overview.empty')}>
          <p>{t('overview.emptyText')}</p>
          {add}
        </Empty>
      )}
      {present.length > 0 && (
        <>
          <Counts servers={present} chosen={state} onChoose={setState} />
          <FiringAlerts />
          <HeatMap servers={shown} />
          <div className="toolbar">
            <TextInput
              type="search"
              size="sm"
              aria-label={t('overview.search')}
              placeholder={t('overview.search')}
              leftSection={<Glyph name="search" />}
              rightSection={<kbd>/</kbd>}
              value={search}
              onChange={(e) => setSearch(e.currentTarget.value)}
              onKeyDown={(e) => e.key === 'Escape' && setSearch('')}
            />
            <span className="dim">{t('overview.shown', { shown: shown.length, all: present.length })}</span>
          </div>
          {shown.length > 0 ? (
            <ServerTable servers={shown} selection={mayOperate ? selection : undefined} />
          ) : (
            <Empty title={t('overview.none')} />
          )}
        </>
      )}
      {chosen.length > 0 && (
        <BulkBar
          chosen={t('bulk.servers', { count: chosen.length })}
          acts={fleetActs}
          targets={(kind) => targetsOf(chosen, kind)}
          onClear={selection.clear}
        />
      )}
      {adding && (
        <Suspense>
          <AddServer onClose={() => setAdding(false)} />
        </Suspense>
      )}
    </Screen>
  )
}
