import { TextInput } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api } from '../api/client'
import { useList } from '../api/queries'
import type { AuditCheck, AuditEntry } from '../api/types'
import { type Column, DataTable } from '../parts/DataTable'
import { Empty } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Screen } from '../parts/Screen'
import { At } from '../parts/Time'
import { useText } from '../text/language'
import './audit.css'

const fields = ['actor', 'action', 'resource', 'target'] as const
type Filter = Partial<Record<(typeof fields)[number], string>>

/** Every act, by whom and from where; nothing here can be changed. */
export default function Audit() {
  const { t } = useText()
  const [filter, setFilter] = useState<Filter>({})
  const list = useList<AuditEntry>('audit', filter)
  const columns: Column<AuditEntry>[] = [
    { head: t('audit.seq'), number: true, cell: (e) => <span className="figures dim">{e.seq}</span> },
    { head: t('audit.time'), cell: (e) => <At at={e.created} /> },
    {
      head: t('audit.actor'),
      cell: (e) => (
        <>
          {e.actor} <small className="dim figures">{e.address}</small>
        </>
      ),
    },
    { head: t('audit.action'), cell: (e) => <b>{e.action}</b> },
    { head: t('audit.target'), cell: (e) => <Target entry={e} /> },
    { head: t('audit.details'), wide: true, cell: (e) => <Details entry={e} /> },
  ]
  return (
    <Screen title={t('nav.audit')} aside={<Chain />}>
      <form
        className="toolbar"
        aria-label={t('audit.filter')}
        onSubmit={(e) => {
          e.preventDefault()
          const given = new FormData(e.currentTarget)
          setFilter(Object.fromEntries(fields.map((f) => [f, String(given.get(f) ?? '').trim() || undefined])))
        }}
      >
        {fields.map((f) => (
          <TextInput
            key={f}
            type={f === 'actor' ? 'search' : 'text'}
            name={f}
            size="xs"
            label={t(`audit.${f}`)}
            spellCheck={false}
            autoCapitalize="none"
            onBlur={(e) => e.currentTarget.form?.requestSubmit()}
          />
        ))}
        <button type="submit" hidden />
      </form>
      <DataTable label={t('nav.audit')} columns={columns} list={list} empty={<Empty title={t('audit.none')} />} />
    </Screen>
  )
}

/** Whether the chain of hashes is whole. */
function Chain() {
  const { t, format } = useText()
  const check = useQuery({
    queryKey: ['audit', 'check'],
    queryFn: ({ signal }) => api.get<AuditCheck>('/audit/verify', { signal }),
  })
  if (!check.data) return null
  const { intact, entries, problem } = check.data
  return (
    <span className="state" data-tone={intact ? 'good' : 'bad'} title={problem}>
      <Glyph name={intact ? 'up' : 'down'} size={14} />
      {intact ? t('audit.intact', { entries: format.number(entries) }) : `${t('audit.broken')} ${problem ?? ''}`}
    </span>
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

/** JSON as the log has it, made readable. */
function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2)
  } catch {
    return json
  }
}

function Details({ entry }: { entry: AuditEntry }) {
  const { t } = useText()
  return (
    <details className="audit-details">
      <summary>{entry.reason || t('audit.show')}</summary>
      <dl>
        {entry.before && (
          <>
            <dt>{t('audit.before')}</dt>
            <dd>
              <pre>{pretty(entry.before)}</pre>
            </dd>
          </>
        )}
        {entry.after && (
          <>
            <dt>{t('audit.after')}</dt>
            <dd>
              <pre>{pretty(entry.after)}</pre>
            </dd>
          </>
        )}
        {entry.request_id && (
          <>
            <dt>{t('error.request')}</dt>
            <dd>
              <code>{entry.request_id}</code>
            </dd>
          </>
        )}
        <dt>{t('audit.hash')}</dt>
        <dd>
          <code>{entry.hash}</code>
        </dd>
      </dl>
    </details>
  )
}
