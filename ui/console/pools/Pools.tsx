import { Button } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import type { Pool } from '../api/types'
import { useMay } from '../app/rights'
import { type Column, DataTable } from '../parts/DataTable'
import { Empty } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Screen } from '../parts/Screen'
import { useText } from '../text/language'
import { inService, useMembers, usePools } from './data'
import { PoolDialog } from './PoolDialog'
import './pools.css'
import { Regions } from './Regions'

/** Servers that do the same, and how many of each are in service. */
export default function Pools() {
  const { t } = useText()
  const mayChange = useMay('pools', 'write')
  const list = usePools()
  const [adding, setAdding] = useState(false)
  const columns: Column<Pool>[] = [
    {
      head: t('pools.name'),
      cell: (p) => (
        <>
          <Link to="/pools/$pool" params={{ pool: p.name }} className="row-link">
            {p.name}
          </Link>
          {p.description && <small className="dim pool-description">{p.description}</small>}
        </>
      ),
    },
    { head: t('pools.service'), cell: (p) => p.service },
    { head: t('pools.members'), cell: (p) => <Ready pool={p} /> },
    { head: t('pools.regions'), wide: true, cell: (p) => <Regions pool={p} /> },
    { head: t('pools.unavailable'), number: true, cell: (p) => <span className="figures">{p.max_unavailable}</span> },
  ]
  const add = mayChange && (
    <Button size="sm" leftSection={<Glyph name="plus" />} onClick={() => setAdding(true)}>
      {t('pools.add')}
    </Button>
  )
  return (
    <Screen title={t('nav.pools')} aside={add}>
      <DataTable
        label={t('nav.pools')}
        columns={columns}
        list={list}
        empty={
          <Empty title={t('pools.none')}>
            <p>{t('pools.noneText')}</p>
          </Empty>
        }
      />
      {adding && <PoolDialog onClose={() => setAdding(false)} />}
    </Screen>
  )
}

/** How many members serve now. */
export function Ready({ pool }: { pool: Pool }) {
  const { t } = useText()
  const members = useMembers(pool)
  const ready = members.filter(inService).length
  const tone = ready === members.length ? 'good' : ready === 0 ? 'bad' : 'warn'
  return (
    <span className="state" data-tone={members.length === 0 ? 'idle' : tone}>
      <Glyph name={tone === 'good' ? 'up' : 'warning'} size={14} />
      {t('pools.ready', { ready, all: members.length })}
    </span>
  )
}
