import { Button } from '@mantine/core'
import { useState } from 'react'
import { useList } from '../api/queries'
import type { Group } from '../api/types'
import { useMay } from '../app/rights'
import { Act, Delete } from '../parts/Acts'
import { type Column, DataTable } from '../parts/DataTable'
import { Empty } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Section } from '../parts/Screen'
import { useText } from '../text/language'
import { GroupDialog } from './GroupDialog'

/** More members than this are counted, not named. */
const named = 3

/** Addresses whose mail goes to others: aliases and groups. */
export function Groups({ domain }: { domain: string }) {
  const { t } = useText()
  const list = useList<Group>('groups', { domain })
  const mayWrite = useMay('groups', 'write')
  const [editing, setEditing] = useState<Group | 'new'>()
  const [deleting, setDeleting] = useState<Group>()
  const columns: Column<Group>[] = [
    { head: t('groups.address'), cell: (g) => <b>{g.address}</b> },
    { head: t('groups.name'), cell: (g) => g.name || <span className="dim">—</span> },
    { head: t('groups.members'), wide: true, cell: (g) => <Members group={g} /> },
    { head: t('groups.writers'), cell: (g) => t(`groups.who.${g.writers as 'anyone'}`) },
    {
      head: t('action.actions'),
      quiet: true,
      cell: (g) =>
        mayWrite && (
          <div className="acts">
            <Act label={t('action.edit')} of={g.address} onClick={() => setEditing(g)} />
            <Act label={t('action.delete')} of={g.address} onClick={() => setDeleting(g)} />
          </div>
        ),
    },
  ]
  const add = mayWrite && (
    <Button size="xs" variant="default" leftSection={<Glyph name="plus" size={14} />} onClick={() => setEditing('new')}>
      {t('groups.add')}
    </Button>
  )
  return (
    <Section title={t('groups.title')} aside={add}>
      <DataTable
        label={t('groups.title')}
        columns={columns}
        list={list}
        empty={
          <Empty title={t('groups.none')}>
            <p>{t('groups.noneText')}</p>
          </Empty>
        }
      />
      {editing && (
        <GroupDialog
          group={editing === 'new' ? undefined : editing}
          domain={domain}
          onClose={() => setEditing(undefined)}
        />
      )}
      {deleting && (
        <Delete
          noun="groups"
          thing={deleting}
          title={t('groups.deleteTitle', { address: deleting.address })}
          onClose={() => setDeleting(undefined)}
        >
          <p>{t('groups.deleteText')}</p>
        </Delete>
      )}
    </Section>
  )
}

function Members({ group }: { group: Group }) {
  const { t } = useText()
  const [first, ...others] = group.members
  if (others.length === 0) return `→ ${first}`
  const shown = group.members.slice(0, named).join(', ')
  const rest = group.members.length - named
  return <span title={group.members.join('\n')}>{rest > 0 ? t('groups.andMore', { shown, count: rest }) : shown}</span>
}
