import { Button } from '@mantine/core'
import { useNavigate } from '@tanstack/react-router'
import { type ReactNode, useEffect } from 'react'
import { useList, useServers } from '../api/queries'
import type { Enrolment, Preflight, Server } from '../api/types'
import { useReadings } from '../live/readings'
import { Glyph } from '../parts/Glyph'
import { State } from '../parts/State'
import { moment } from '../text/format'
import { useText } from '../text/language'
import { figure, figures, writeFigure } from './figures'

/** Waits for a server: its agent, its first look at the server, its first samples. Each arrives by itself. */
export function Arrival({ enrolment, onClose }: { enrolment: Enrolment; onClose: () => void }) {
  const { t } = useText()
  const navigate = useNavigate()
  const { id, name } = enrolment.server
  const server = useServers().data?.find((s) => s.id === id)
  const begun = moment(enrolment.server.updated) ?? 0
  const joined = server !== undefined && server.state !== 'joining' && (moment(server.since) ?? 0) >= begun - 60_000
  return (
    <>
      <ol className="arrival" aria-label={t('add.arrival')}>
        <Stage done={joined} text={t(joined ? 'add.joined' : 'add.waitsAgent')}>
          {joined && <Joined server={server} />}
        </Stage>
        {joined ? <Looked id={id} /> : <Stage done={false} later text={t('add.waitsPreflight')} />}
        {joined ? <Sampled name={name} /> : <Stage done={false} later text={t('add.waitsSamples')} />}
      </ol>
      {!joined && <p className="dim form-hint">{t('add.leave')}</p>}
      <div className="form-buttons">
        {joined && (
          <Button
            variant="default"
            onClick={() => {
              onClose()
              void navigate({ to: '/servers/$server', params: { server: name } })
            }}
          >
            {t('add.see', { name })}
          </Button>
        )}
        <Button onClick={onClose}>{t('action.done')}</Button>
      </div>
    </>
  )
}

interface StageProps {
  done: boolean
  /** It cannot begin yet. */
  later?: boolean
  text: string
  children?: ReactNode
}

function Stage({ done, later, text, children }: StageProps) {
  return (
    <li data-done={done} data-later={later}>
      <Glyph name={done ? 'up' : 'waiting'} />
      <div>
        <p role="status">{text}</p>
        {children}
      </div>
    </li>
  )
}

function Joined({ server }: { server: Server }) {
  return (
    <p>
      <State of="server" state={server.state} /> <small className="dim">{server.agent_version}</small>
    </p>
  )
}

/** What the agent found when it joined: only what is not fine. */
function Looked({ id }: { id: string }) {
  const { t } = useText()
  const list = useList<Preflight>('preflights', { server: id }, 1)
  const preflight = list.data?.pages[0]?.items[0]
  useAgain(list.refetch, preflight === undefined)
  if (!preflight) return <Stage done={false} text={t('add.waitsPreflight')} />
  const count = (state: string) => preflight.checks.filter((c) => c.state === state).length
  const [failed, warning] = [count('failed'), count('warning')]
  return (
    <Stage done text={t('add.looked')}>
      <p className="arrival-marks">
        <State of="check" state="ok" /> {count('ok')}
        {warning > 0 && (
          <>
            <State of="check" state="warning" /> {warning}
          </>
        )}
        {failed > 0 && (
          <>
            <State of="check" state="failed" /> {failed}
          </>
        )}
      </p>
    </Stage>
  )
}

/** The first figures; the event stream brings them. */
function Sampled({ name }: { name: string }) {
  const { t, format } = useText()
  const values = useReadings(name)
  const known = figures.flatMap((f) => {
    const value = figure(values, f)
    return value ? [{ f, text: writeFigure(format, f, value.value) }] : []
  })
  if (known.length === 0) return <Stage done={false} text={t('add.waitsSamples')} />
  return (
    <Stage done text={t('add.sampled')}>
      <p className="arrival-marks">
        {known.map(({ f, text }) => (
          <span key={f}>
            <span className="dim">{t(`figure.${f}`)}</span> <b className="figures">{text}</b>
          </span>
        ))}
      </p>
    </Stage>
  )
}

/** How often one looks again for what no event may tell of, in ms. */
const again = 3_000

function useAgain(look: () => void, wanted: boolean): void {
  useEffect(() => {
    if (!wanted) return
    const timer = setInterval(() => look(), again)
    return () => clearInterval(timer)
  }, [look, wanted])
}
