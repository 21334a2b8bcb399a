import { Button } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { useList } from '../api/queries'
import type { Person } from '../api/types'
import { useMay } from '../app/rights'
import { useNow } from '../live/now'
import { type Column, DataTable } from '../parts/DataTable'
import { Empty } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Screen } from '../parts/Screen'
import { State } from '../parts/State'
import { Ago } from '../parts/Time'
import { useText } from '../text/language'
import { PersonDialog } from './PersonDialog'
import { ScopeText } from './Scope'
import { personState } from './state'

/** Who may sign in to the console, as what, and where. */
export default function People() {
  const { t } = useText()
  const list = useList<Person>('people')
  const mayWrite = useMay('people', 'write')
  const now = useNow()
  const [adding, setAdding] = useState(false)
  const columns: Column<Person>[] = [
    {
      head: t('people.name'),
      wide: true,
      cell: (p) => (
        <Link to="/people/$id" params={{ id: p.id }} className="row-link">
          {p.name}
        </Link>
      ),
    },
    { head: t('security.role'), cell: (p) => t(`role.${p.role}`) },
    { head: t('security.scope'), cell: (p) => <ScopeText scope={p.scope} /> },
    { head: t('people.state'), cell: (p) => <State of="person" state={personState(p, now)} /> },
    {
      head: t('security.totp'),
      cell: (p) =>
        p.totp ? (
          <span className="state" data-tone="good">
            <Glyph name="up" size={14} />
            {t('security.totpOn')}
          </span>
        ) : (
          <span className="dim">{t('security.totpOff')}</span>
        ),
    },
    { head: t('people.created'), cell: (p) => <Ago at={p.created} /> },
  ]
  const add = mayWrite && (
    <Button leftSection={<Glyph name="plus" />} onClick={() => setAdding(true)}>
      {t('people.add')}
    </Button>
  )
  return (
    <Screen title={t('nav.people')} aside={add}>
      <DataTable
        label={t('nav.people')}
        columns={columns}
        list={list}
        empty={<Empty title={t('people.none')}>{add}</Empty>}
      />
      {adding && <PersonDialog onClose={() => setAdding(false)} />}
    </Screen>
  )
}
