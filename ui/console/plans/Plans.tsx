import { Button } from '@mantine/core'
import { useState } from 'react'
import { useAll, useList } from '../api/queries'
import type { Plan, Tenant } from '../api/types'
import { useMay } from '../app/rights'
import { Act, Delete } from '../parts/Acts'
import { type Column, DataTable } from '../parts/DataTable'
import { Empty } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Screen } from '../parts/Screen'
import { useText } from '../text/language'
import { PlanDialog } from './PlanDialog'
import { FeatureList, LimitLine } from './Terms'

/** What domains and accounts may use: limits and feature switches, put together once. */
export default function Plans() {
  const { t } = useText()
  const list = useList<Plan>('plans')
  const tenants = useAll<Tenant>('tenants')
  const mayWrite = useMay('plans', 'write')
  const [editing, setEditing] = useState<Plan | 'new'>()
  const [deleting, setDeleting] = useState<Plan>()
  const ownerOf = (p: Plan) => tenants.find((x) => x.id === p.tenant)?.name ?? p.tenant?.slice(0, 8)
  const columns: Column<Plan>[] = [
    { head: t('plans.name'), cell: (p) => <b>{p.name}</b> },
    { head: t('plans.tenant'), cell: (p) => ownerOf(p) ?? t('plans.everybody') },
    { head: t('limits.title'), wide: true, cell: (p) => <LimitLine of={p.limits} /> },
    { head: t('limits.features'), cell: (p) => <FeatureList of={p.features} /> },
    {
      head: t('action.actions'),
      quiet: true,
      cell: (p) =>
        mayWrite && (
          <div className="acts">
            <Act label={t('action.edit')} of={p.name} onClick={() => setEditing(p)} />
            <Act label={t('action.delete')} of={p.name} onClick={() => setDeleting(p)} />
          </div>
        ),
    },
  ]
  const add = mayWrite && (
    <Button leftSection={<Glyph name="plus" />} onClick={() => setEditing('new')}>
      {t('plans.add')}
    </Button>
  )
  return (
    <Screen title={t('nav.plans')} aside={add}>
      <DataTable
        label={t('nav.plans')}
        columns={columns}
        list={list}
        empty={
          <Empty title={t('plans.none')}>
            <p>{t('plans.noneText')}</p>
            {add}
          </Empty>
        }
      />
      {editing && <PlanDialog plan={editing === 'new' ? undefined : editing} onClose={() => setEditing(undefined)} />}
      {deleting && (
        <Delete
          noun="plans"
          thing={deleting}
          title={t('plans.deleteTitle', { name: deleting.name })}
          onClose={() => setDeleting(undefined)}
        >
          <p>{t('plans.deleteText')}</p>
        </Delete>
      )}
    </Screen>
  )
}
