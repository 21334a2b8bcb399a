import { Button } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api } from '../api/client'
import { useList, useServers } from '../api/queries'
import type { Release, TrustedKeys } from '../api/types'
import { useMay } from '../app/rights'
import { Operate, type Order } from '../operations/Operate'
import { SelectorDialog } from '../operations/SelectorDialog'
import { Act, Delete } from '../parts/Acts'
import { type Column, DataTable } from '../parts/DataTable'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Screen, Section } from '../parts/Screen'
import { Ago } from '../parts/Time'
import { actorName } from '../text/format'
import { useText } from '../text/language'
import './releases.css'
import { UploadDialog } from './UploadDialog'
import { UsedBy } from './UsedBy'
import { agentProgram } from './uses'

/** Signed builds of programs: where each runs, and the way to a new one. */
export default function Releases() {
  const { t } = useText()
  const list = useList<Release>('releases')
  const mayWrite = useMay('releases', 'write')
  const [adding, setAdding] = useState(false)
  const [removing, setRemoving] = useState<Release>()
  const [upgrading, setUpgrading] = useState<Release>()
  const columns = useColumns(setRemoving, setUpgrading)
  const add = mayWrite && (
    <Button leftSection={<Glyph name="plus" />} onClick={() => setAdding(true)}>
      {t('releases.add')}
    </Button>
  )
  return (
    <Screen title={t('nav.releases')} aside={add}>
      <DataTable
        label={t('nav.releases')}
        columns={columns}
        list={list}
        empty={
          <Empty title={t('releases.none')}>
            <p>{t('releases.noneText')}</p>
            {add}
          </Empty>
        }
      />
      <Keys />
      {adding && <UploadDialog onClose={() => setAdding(false)} />}
      {upgrading && <Upgrade release={upgrading} onClose={() => setUpgrading(undefined)} />}
      {removing && (
        <Delete
          noun="releases"
          thing={removing}
          title={t('releases.removeTitle', { program: removing.program, number: removing.number })}
          action={t('releases.remove')}
          onClose={() => setRemoving(undefined)}
        >
          <p>{t('releases.removeText')}</p>
        </Delete>
      )}
    </Screen>
  )
}

function useColumns(onRemove: (r: Release) => void, onUpgrade: (r: Release) => void): Column<Release>[] {
  const { t, format } = useText()
  const mayWrite = useMay('releases', 'write')
  const mayOperate = useMay('operations', 'write')
  const servers = useServers().data ?? []
  return [
    { head: t('releases.program'), cell: (r) => <b>{r.program}</b> },
    { head: t('releases.number'), cell: (r) => <span className="figures">{r.number}</span> },
    { head: t('releases.platform'), cell: (r) => r.platform },
    {
      head: t('releases.size'),
      number: true,
      cell: (r) => <span className="figures">{format.bytes(r.size)}</span>,
    },
    {
      head: t('releases.signedBy'),
      cell: (r) => (
        <code title={r.key} className="key">
          {r.key.slice(0, 12)}…
        </code>
      ),
    },
    {
      head: t('releases.when'),
      cell: (r) => (
        <>
          <Ago at={r.created} /> <small className="dim">{actorName(r.actor)}</small>
        </>
      ),
    },
    { head: t('releases.usedBy'), wide: true, cell: (r) => <UsedBy release={r} servers={servers} /> },
    {
      head: t('action.actions'),
      quiet: true,
      cell: (r) => {
        const name = `${r.program} ${r.number}`
        return (
          <div className="acts">
            {mayOperate && <Act label={t('releases.upgrade')} of={name} onClick={() => onUpgrade(r)} />}
            {mayWrite && <Act label={t('releases.remove')} of={name} onClick={() => onRemove(r)} />}
          </div>
        )
      },
    },
  ]
}

/** Asks what is to run a release, and shows what that would do. */
function Upgrade({ release, onClose }: { release: Release; onClose: () => void }) {
  const [order, setOrder] = useState<Order>()
  if (order) return <Operate order={order} onClose={onClose} />
  const agent = release.program === agentProgram
  const service = release.program.replace(/^mailfleet-/, '')
  return (
    <SelectorDialog
      acts={[agent ? 'agent.upgrade' : 'service.upgrade']}
      example={agent ? 'region=hk' : `region=hk,service=${service}`}
      onOrder={(o) => setOrder({ ...o, params: { release: release.id } })}
      onClose={onClose}
    />
  )
}

/** The keys whose signatures hold. */
function Keys() {
  const { t } = useText()
  const keys = useQuery({
    queryKey: ['release-keys'],
    queryFn: ({ signal }) => api.get<TrustedKeys>('/release-keys', { signal }),
  })
  return (
    <Section title={t('releases.keys')}>
      {keys.isPending ? (
        <Loading rows={1} />
      ) : !keys.data ? (
        <Failure error={keys.error} retry={() => keys.refetch()} />
      ) : keys.data.keys.length === 0 ? (
        <Empty title={t('releases.noKeys')}>
          <p>{t('releases.noKeysText')}</p>
        </Empty>
      ) : (
        <>
          <p className="dim keys-hint">{t('releases.keysText', { serial: keys.data.serial })}</p>
          <ul className="keys">
            {keys.data.keys.map((k) => (
              <li key={k}>
                <Glyph name="key" />
                <code>{k}</code>
              </li>
            ))}
          </ul>
        </>
      )}
    </Section>
  )
}
