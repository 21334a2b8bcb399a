import { Button } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { api, ifMatch } from '../api/client'
import { useList, useReread, useServerName } from '../api/queries'
import type { MaintenanceWindow } from '../api/types'
import { useMay } from '../app/rights'
import { useNow } from '../live/now'
import { Act, Delete } from '../parts/Acts'
import { type Column, DataTable } from '../parts/DataTable'
import { Empty } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Screen } from '../parts/Screen'
import { State } from '../parts/State'
import { At } from '../parts/Time'
import { useTell } from '../parts/Toasts'
import { actorName, moment } from '../text/format'
import { useText } from '../text/language'
import { phaseOf } from './data'
import { WindowDialog } from './WindowDialog'

/** The times when planned work alarms nobody. */
export default function Windows() {
  const { t } = useText()
  const now = useNow()
  const mayChange = useMay('windows', 'write')
  const list = useList<MaintenanceWindow>('windows')
  const [adding, setAdding] = useState(false)
  const columns: Column<MaintenanceWindow>[] = [
    { head: t('windows.state'), cell: (w) => <State of="window" state={phaseOf(w, now)} /> },
    { head: t('windows.reason'), wide: true, cell: (w) => <Why window={w} /> },
    { head: t('windows.servers'), cell: (w) => <Where window={w} /> },
    { head: t('windows.from'), cell: (w) => <At at={w.from} /> },
    { head: t('windows.to'), cell: (w) => <At at={moment(w.closed) === undefined ? w.to : w.closed} /> },
    { head: t('operation.actor'), cell: (w) => actorName(w.actor) },
  ]
  if (mayChange) columns.push({ head: t('action.actions'), quiet: true, cell: (w) => <Acts window={w} /> })
  const add = mayChange && (
    <Button size="sm" leftSection={<Glyph name="plus" />} onClick={() => setAdding(true)}>
      {t('windows.add')}
    </Button>
  )
  return (
    <Screen title={t('nav.windows')} aside={add}>
      <DataTable
        label={t('nav.windows')}
        columns={columns}
        list={list}
        empty={
          <Empty title={t('windows.none')}>
            <p>{t('windows.noneText')}</p>
          </Empty>
        }
      />
      {adding && <WindowDialog onClose={() => setAdding(false)} />}
    </Screen>
  )
}

function Why({ window: w }: { window: MaintenanceWindow }) {
  const { t } = useText()
  if (!w.operation) return w.reason
  return (
    <>
      {w.reason}{' '}
      <Link to="/operations/$id" params={{ id: w.operation }}>
        {t('windows.operation')}
      </Link>
    </>
  )
}

/** More servers than this are counted, not named. */
const named = 3

function Where({ window: w }: { window: MaintenanceWindow }) {
  const { t } = useText()
  const serverName = useServerName()
  if (w.servers.length === 0) return t('windows.all')
  if (w.servers.length > named) return t('windows.count', { count: w.servers.length })
  return w.servers.map(serverName).join(', ')
}

function Acts({ window: w }: { window: MaintenanceWindow }) {
  const { t } = useText()
  const now = useNow()
  const tell = useTell()
  const reread = useReread()
  const [busy, setBusy] = useState(false)
  const [deleting, setDeleting] = useState(false)
  const phase = phaseOf(w, now)
  const close = async () => {
    setBusy(true)
    try {
      await api.change('POST', `/windows/${w.id}/close`, { headers: ifMatch(w) })
      await reread('windows')
    } catch (e) {
      tell.failed(e)
    } finally {
      setBusy(false)
    }
  }
  return (
    <div className="acts">
      {phase === 'open' && <Act label={t('windows.close')} of={w.reason} busy={busy} onClick={close} />}
      {phase !== 'open' && <Act label={t('action.delete')} of={w.reason} onClick={() => setDeleting(true)} />}
      {deleting && (
        <Delete
          noun="windows"
          thing={w}
          title={t('windows.deleteTitle', { reason: w.reason })}
          onClose={() => setDeleting(false)}
        >
          <p>{t('windows.deleteText')}</p>
        </Delete>
      )}
    </div>
  )
}
