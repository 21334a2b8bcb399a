import { Button } from '@mantine/core'
import { useInfiniteQuery } from '@tanstack/react-query'
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
  /** Whose they are is known. */
  one?: boolean
  /** Offers to end all of the filter. */
  onEndAll?: (sessions: LiveSession[]) => Promise<void>
}

/** Who is signed in where, and a way to end it. */
export function SessionTable({ label, filter, who, one, onEndAll }: SessionTableProps) {
  const { t, format } = useText()
  const mayEnd = useMay('sessions', 'write')
  const [ending, setEnding] = useState<LiveSession>()
  const [endingAll, setEndingAll] = useState<LiveSession[]>()
  const columns = useColumns({ named: !one, end: mayEnd ? setEnding : undefined })
  const live = useLive({ ...filter, who: who ?? filter.who })
  if (live.isPending) return <Loading rows={3} />
  if (!live.data) return <Failure error={live.error} retry={() => live.refetch()} />
  const [first] = live.data.pages
  const items = live.data.pages.flatMap((p) => p.items)
  const rows = who ? items.filter((s) => s.who === who) : items
  const others = rows.filter((s) => !s.current)
  return (
    <>
      {first?.partial && (
        <div className="notice" data-tone="warn">
          <Glyph name="warning" />
          <div>
            {first.silent.length > 0
              ? t('sessions.silent', { servers: first.silent.join(', ') })
              : t('sessions.partial')}
          </div>
        </div>
      )}
      {rows.length > 0 ? <Rows label={label} columns={columns} rows={rows} /> : <Empty title={t('sessions.none')} />}
      {live.hasNextPage && (
        <div className="more">
          <p className="dim">
            {t('sessions.shown', { shown: format.number(items.length), total: format.number(first?.total ?? 0) })}
          </p>
          <Button variant="default" size="xs" loading={live.isFetchingNextPage} onClick={() => live.fetchNextPage()}>
            {t('action.more')}
          </Button>
        </div>
      )}
      {onEndAll && mayEnd && others.length > 1 && (
        <div className="more">
          <Button size="xs" variant="default" onClick={() => setEndingAll(others)}>
            {t('sessions.endAll')}
          </Button>
        </div>
      )}
      {ending && (
        <End
          title={t('sessions.endTitle', { who: ending.who || ending.address })}
          onEnd={() => endSession(ending)}
          onClose={() => setEnding(undefined)}
        />
      )}
      {endingAll && onEndAll && (
        <End
          title={t('sessions.endAllTitle', { n: endingAll.length })}
          onEnd={() => onEndAll(endingAll)}
          onClose={() => setEndingAll(undefined)}
        />
      )}
    </>
  )
}

/** Who is signed in, page after page, asked again and again. */
function useLive(query: Query) {
  return useInfiniteQuery({
    queryKey: ['sessions', query],
    queryFn: ({ pageParam, signal }) =>
      api.get<LiveSessions>('/sessions', { query: { ...query, limit: 200, cursor: pageParam }, signal }),
    initialPageParam: '',
    getNextPageParam: (page) => page.next || undefined,
    refetchInterval: askEvery,
    placeholderData: (before) => before, // no blinking while the filter is typed
  })
}

/** Ends one session. */
export const endSession = (s: LiveSession) => api.change('DELETE', `/sessions/${encodeURIComponent(s.id)}`)

/** Ends sessions one after the other. */
export async function endEach(sessions: LiveSession[]) {
  for (const s of sessions) await endSession(s)
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

function End({ title, onEnd, onClose }: { title: string; onEnd: () => Promise<void>; onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  return (
    <Confirm
      title={title}
      action={t('sessions.end')}
      danger
      onConfirm={async () => {
        await onEnd()
        await reread('sessions')
      }}
      onClose={onClose}
    >
      <p>{t('sessions.endText')}</p>
    </Confirm>
  )
}
