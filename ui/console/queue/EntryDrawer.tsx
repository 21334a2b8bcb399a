import { Button } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { type ReactNode, useState } from 'react'
import { address } from '../api/client'
import type { OperationKind, QueuedMail } from '../api/types'
import { useMay } from '../app/rights'
import { type Column, Rows } from '../parts/DataTable'
import { Dialog } from '../parts/Dialog'
import { Failure, Loading } from '../parts/Feedback'
import { State } from '../parts/State'
import { Ago, At, Until } from '../parts/Time'
import { useText } from '../text/language'
import { Acts, type QueueKind } from './Acts'
import { useMessage } from './data'

interface EntryDrawerProps {
  entry: QueuedMail
  /** Absent when nothing may be done with it. */
  onAct: ((kind: OperationKind) => void) | undefined
  acts: readonly QueueKind[]
  onClose: () => void
}

/** One message in the queue: its envelope, and how it stands with each of its recipients. */
export function EntryDrawer({ entry: m, acts, onAct, onClose }: EntryDrawerProps) {
  const { t, format } = useText()
  const mayExport = useMay('queued-messages', 'read')
  const mayServers = useMay('servers', 'read')
  const message = useMessage(m)
  const entries = message.data?.items ?? [m]
  const facts: Record<string, ReactNode> = {
    [t('queue.sender')]: m.from || t('queue.report'),
    [t('sessions.server')]: mayServers ? (
      <Link to="/servers/$server" params={{ server: m.server }}>
        {m.server}
      </Link>
    ) : (
      m.server
    ),
    [t('queue.size')]: format.bytes(m.size),
    [t('queue.received')]: <At at={m.received} />,
    [t('queue.expires')]: <Until at={m.expires} />,
    [t('queue.message')]: <code>{m.message}</code>,
  }
  if (m.inbound) facts[t('queue.way')] = t('queue.inbound')
  if (m.route) facts[t('domain.route')] = m.route
  return (
    <Dialog title={t('queue.one')} kind="drawer" onClose={onClose}>
      <section className="queue-entry">
        <dl className="facts">
          {Object.entries(facts).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
        {message.isPending && <Loading rows={2} />}
        {message.error && <Failure error={message.error} retry={() => message.refetch()} />}
        <Parts entries={entries} />
        {onAct && <Acts acts={acts} onAct={onAct} />}
        {mayExport && (
          <Button
            component="a"
            className="queue-export"
            size="xs"
            variant="default"
            href={address(`/queue/${encodeURIComponent(m.id)}/message`)}
            download={`${m.entry}.eml`}
          >
            {t('queue.export')}
          </Button>
        )}
      </section>
    </Dialog>
  )
}

/** How many recipients are named at once. */
const named = 20

function Parts({ entries }: { entries: QueuedMail[] }) {
  const { t, format } = useText()
  const columns: Column<QueuedMail>[] = [
    { head: t('queue.recipients'), wide: true, cell: (e) => <Recipients of={e.recipients} hidden={e.hidden} /> },
    { head: t('queue.state'), cell: (e) => <State of="queue" state={e.state as 'held'} /> },
    {
      head: t('queue.attempts'),
      number: true,
      cell: (e) => <span className="figures">{format.number(e.attempts)}</span>,
    },
    { head: t('queue.next'), cell: (e) => (e.state === 'held' ? '—' : <Until at={e.next} />) },
    {
      head: t('queue.last'),
      cell: (e) =>
        e.last ? (
          <>
            <span lang="en">{e.last}</span>{' '}
            <small className="dim">
              {e.last_host} <Ago at={e.last_at ?? ''} />
            </small>
          </>
        ) : (
          <span className="dim">—</span>
        ),
    },
  ]
  return <Rows label={t('queue.recipients')} columns={columns} rows={entries} />
}

function Recipients({ of, hidden }: { of: string[]; hidden: number | undefined }) {
  const { t } = useText()
  const [all, setAll] = useState(false)
  return (
    <>
      <ul>
        {(all ? of : of.slice(0, named)).map((r) => (
          <li key={r}>{r}</li>
        ))}
      </ul>
      {!all && of.length > named && (
        <button type="button" className="link" onClick={() => setAll(true)}>
          {t('operate.more', { count: of.length - named })}
        </button>
      )}
      {hidden && <small className="dim">{t('queue.hidden', { count: hidden })}</small>}
    </>
  )
}
