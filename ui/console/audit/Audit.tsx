import { Button, TextInput } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { address, api, type Query } from '../api/client'
import { useList } from '../api/queries'
import type { AuditCheck, AuditEntry } from '../api/types'
import { useMay } from '../app/rights'
import { type Column, DataTable } from '../parts/DataTable'
import { Empty } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Screen } from '../parts/Screen'
import { At } from '../parts/Time'
import { actorName } from '../text/format'
import { useText } from '../text/language'
import { Details } from './Details'
import './audit.css'

const fields = [
  { name: 'text', type: 'search' },
  { name: 'actor', type: 'text' },
  { name: 'action', type: 'text' },
  { name: 'resource', type: 'text' },
  { name: 'target', type: 'text' },
  { name: 'address', type: 'text' },
  { name: 'from', type: 'datetime-local' },
  { name: 'to', type: 'datetime-local' },
] as const

/** What was filled in, as the API is asked: local times become moments. */
function filterOf(form: HTMLFormElement): Query {
  const given = new FormData(form)
  const asked = fields.map(({ name, type }) => {
    const value = String(given.get(name) ?? '').trim()
    return [name, value && type === 'datetime-local' ? new Date(value).toISOString() : value || undefined]
  })
  return Object.fromEntries(asked)
}

/** Every act, by whom and from where; nothing here can be changed. */
export default function Audit() {
  const { t } = useText()
  const [filter, setFilter] = useState<Query>({})
  const list = useList<AuditEntry>('audit', filter)
  const chain = useMay('audit-chain', 'read')
  const columns: Column<AuditEntry>[] = [
    { head: t('audit.seq'), number: true, cell: (e) => <span className="figures dim">{e.seq}</span> },
    { head: t('audit.time'), cell: (e) => <At at={e.created} /> },
    {
      head: t('audit.actor'),
      cell: (e) => (
        <>
          <span title={e.actor}>{actorName(e.actor)}</span> <small className="dim figures">{e.address}</small>
        </>
      ),
    },
    { head: t('audit.action'), cell: (e) => <b>{e.action}</b> },
    { head: t('audit.target'), cell: (e) => <Target entry={e} /> },
    { head: t('audit.details'), wide: true, cell: (e) => <Details entry={e} /> },
  ]
  return (
    <Screen title={t('nav.audit')} aside={chain && <Chain />}>
      <form
        className="toolbar"
        aria-label={t('audit.filter')}
        onSubmit={(e) => {
          e.preventDefault()
          setFilter(filterOf(e.currentTarget))
        }}
      >
        {fields.map(({ name, type }) => (
          <TextInput
            key={name}
            type={type}
            name={name}
            size="xs"
            label={t(`audit.${name}`)}
            spellCheck={false}
            autoCapitalize="none"
            onBlur={(e) => e.currentTarget.form?.requestSubmit()}
          />
        ))}
        <Button type="submit" size="xs">
          {t('audit.search')}
        </Button>
        <Button component="a" href={address('/audit.csv', filter)} download="audit.csv" size="xs" variant="default">
          {t('audit.csv')}
        </Button>
      </form>
      <DataTable label={t('nav.audit')} columns={columns} list={list} empty={<Empty title={t('audit.none')} />} />
    </Screen>
  )
}

/** Whether the chain of hashes is whole. */
function Chain() {
  const { t, say, format } = useText()
  const check = useQuery({
    queryKey: ['audit', 'check'],
    queryFn: ({ signal }) => api.get<AuditCheck>('/audit/verify', { signal }),
  })
  if (!check.data) return null
  const { intact, entries, said } = check.data
  const problem = say(check.data.problem ?? '', said)
  return (
    <div className="audit-chain">
      <span className="state" data-tone={intact ? 'good' : 'bad'} title={problem}>
        <Glyph name={intact ? 'up' : 'down'} size={14} />
        {intact ? t('audit.intact', { entries: format.number(entries) }) : `${t('audit.broken')} ${problem}`}
      </span>
      <Button size="xs" variant="default" loading={check.isFetching} onClick={() => check.refetch()}>
        {t('audit.verify')}
      </Button>
    </div>
  )
}

function Target({ entry }: { entry: AuditEntry }) {
  const short = /^[0-9a-f-]{36}$/.test(entry.target) ? entry.target.slice(-12) : entry.target
  return (
    <>
      <span className="dim">{entry.resource}</span> <span title={entry.target}>{short}</span>
    </>
  )
}
