import { Button } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { api, type Query } from '../api/client'
import { useReread } from '../api/queries'
import type { LiveSession, LiveSessions } from '../api/types'
import { useMay } from '../app/rights'
import { Act } from '../parts/Acts'
import { Confirm } from '../parts/Confirm'
import { type Column, Rows } from '../parts/DataTable'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Ago } from '../parts/Time'
import { useText } from '../text/language'

/** How often it is asked again who is signed in, in ms: no event tells of it. */
const askEvery = 10_000

export const sessionKinds = ['console', 'smtp', 'submission', 'pop3', 'imap', 'webmail'] as const
type Kind = (typeof sessionKinds)[number]

interface SessionTableProps {
  label: string
  /** What the API is asked for. */
  filter: Query
  /** Theirs alone; the API's filter finds everybody whose name has this in it. */
  who?: string
  /** Offers to end all that are shown. */
  endAll?: boolean
}

/** Who is signed in where, and a way to end it. */
export function SessionTable({ label, filter, who, endAll }: SessionTableProps) {
  const { t, format } = useText()
  const mayEnd = useMay('sessions', 'write')
  const [ending, setEnding] = useState<LiveSession[]>()
  const query = { ...filter, who: who ?? filter.who }
  const columns = useColumns({ named: !who, end: mayEnd ? (s) => setEnding([s]) : undefined })
  const live = useQuery({
    queryKey: ['sessions', query],
    queryFn: ({ signal }) => api.get<LiveSessions>('/sessions', { query, signal }),
    refetchInterval: askEvery,
    placeholderData: (before) => before, // no blinking while the filter is typed
  })
  if (live.isPending) return <Loading rows={3} />
  if (!live.data) return <Failure error={live.error} retry={() => live.refetch()} />
  const { items, total, silent } = live.data
  const rows = who ? items.filter((s) => s.who === who) : items
  const others = rows.filter((s) => !s.current)
  return (
    <>
      {silent.length > 0 && (
        <div className="notice" data-tone="warn">
          <Glyph name="warning" />
          <div>{t('sessions.silent', { servers: silent.join(', ') })}</div>
        </div>
      )}
      {rows.length > 0 ? <Rows label={label} columns={columns} rows={rows} /> : <Empty title={t('sessions.none')} />}
      {total > items.length && (
        <p className="dim more">
          {t('sessions.shown', { shown: format.number(items.length), total: format.number(total) })}
        </p>
      )}
      {endAll && mayEnd && others.length > 1 && (
        <div className="more">
          <Button size="xs" variant="default" onClick={() => setEnding(others)}>
            {t('sessions.endAll')}
          </Button>
        </div>
      )}
      {ending && <End sessions={ending} onClose={() => setEnding(undefined)} />}
    </>
  )
}

function useColumns({ named, end }: { named: boolean; end?: (s: LiveSession) => void }): Column<LiveSession>[] {
  const { t } = useText()
  const mayServers = useMay('servers', 'read')
  return [
    ...(named ? [{ head: t('sessions.who'), wide: true, cell: (s: LiveSession) => <Who of={s} /> }] : []),
    { head: t('sessions.kind'), cell: (s) => t(`sessionKind.${s.kind as Kind}`, { defaultValue: s.kind }) },
    {
      head: t('sessions.address'),
      cell: (s) => (
        <span className="figures">
          {s.address}
          {!s.tls && <small className="dim"> {t('sessions.clear')}</small>}
        </span>
      ),
    },
    ...(mayServers ? [{ head: t('sessions.server'), cell: (s: LiveSession) => <Server name={s.server} /> }] : []),
    { head: t('sessions.client'), wide: !named, cell: (s) => <Client text={s.client} /> },
    { head: t('sessions.since'), cell: (s) => <Ago at={s.since} /> },
    { head: t('sessions.active'), cell: (s) => <Ago at={s.active} /> },
    {
      head: t('action.actions'),
      quiet: true,
      cell: (s) =>
        s.current ? (
          <div className="acts">
            <span className="dim">{t('sessions.current')}</span>
          </div>
        ) : (
          end && (
            <div className="acts">
              <Act label={t('sessions.end')} of={`${s.who} ${s.address}`} onClick={() => end(s)} />
            </div>
          )
        ),
    },
  ]
}

function Who({ of }: { of: LiveSession }) {
  const { t } = useText()
  return of.who ? <b>{of.who}</b> : <span className="dim">{t('sessions.nobody')}</span>
}

function Server({ name }: { name: string | undefined }) {
  if (!name) return <span className="dim">—</span>
  return (
    <Link to="/servers/$server" params={{ server: name }}>
      {name}
    </Link>
  )
}

/** What the client calls itself: of a browser its name and system, the whole on hover. */
function Client({ text }: { text: string | undefined }) {
  if (!text) return <span className="dim">—</span>
  return <span title={text}>{browserOf(text)}</span>
}

/** "Chrome 140, Linux" of a browser's user agent; other clients' names as they are. */
export function browserOf(agent: string): string {
  const name = /(Edg|OPR|Firefox|HeadlessChrome|Chrome|Version)\/(\d+)/.exec(agent)
  if (!name || !agent.startsWith('Mozilla/')) return agent
  const system = /(Windows|Android|iPhone|iPad|Mac OS X|Linux|CrOS)/.exec(agent)?.[1]
  const known: Record<string, string> = { Edg: 'Edge', OPR: 'Opera', Version: 'Safari' }
  const edge = /(Edg|OPR)\/(\d+)/.exec(agent) ?? name
  return [`${known[edge[1] ?? ''] ?? edge[1]} ${edge[2]}`, system].filter(Boolean).join(', ')
}

function End({ sessions, onClose }: { sessions: LiveSession[]; onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const [first] = sessions
  const title =
    sessions.length === 1 && first
      ? t('sessions.endTitle', { who: first.who || first.address })
      : t('sessions.endAllTitle', { n: sessions.length })
  return (
    <Confirm
      title={title}
      action={t('sessions.end')}
      danger
      onConfirm={async () => {
        for (const s of sessions) await api.change('DELETE', `/sessions/${encodeURIComponent(s.id)}`)
        await reread('sessions')
      }}
      onClose={onClose}
    >
      <p>{t('sessions.endText')}</p>
    </Confirm>
  )
}
