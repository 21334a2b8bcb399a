import { Link } from '@tanstack/react-router'
import { memo } from 'react'
import type { Server } from '../api/types'
import { useFreshness } from '../live/Live'
import { useNow } from '../live/now'
import { useReadings } from '../live/readings'
import { staleSample } from '../live/stale'
import { State } from '../parts/State'
import { Tick } from '../parts/Tick'
import { type Text, useText } from '../text/language'
import { useRates } from './data'
import { type Figure, figure, figures, heat, isPercent, type Value, writeFigure } from './figures'

interface RowProps {
  server: Server
  index: number
  chosen: boolean | undefined
  /** Absent when nothing may be done to servers. */
  onToggle: ((id: string) => void) | undefined
}

/** One server; it hears only of its own readings. */
export const ServerRow = memo(function ServerRow({ server, index, chosen, onToggle }: RowProps) {
  const { t, format } = useText()
  const freshness = useFreshness()
  const now = useNow()
  const values = useReadings(server.name)
  useRates(server, values)
  const isStale = (time: number) => staleSample(freshness, server, time, now) !== undefined
  return (
    <tr aria-rowindex={index} data-server={server.name} data-chosen={chosen}>
      <td data-label={t('overview.state')}>
        {onToggle && (
          <Tick
            label={t('bulk.choose', { name: server.name })}
            checked={chosen ?? false}
            onToggle={() => onToggle(server.id)}
          />
        )}
        <State of="server" state={server.state} stale={freshness === 'lost'} />
      </td>
      <th scope="row" data-label="">
        <Link to="/servers/$server" params={{ server: server.name }} className="row-link">
          {server.name}
        </Link>
        <small className="dim">
          {server.address}
          {server.region && ` · ${server.region}`}
        </small>
      </th>
      {figures.map((f) => (
        <FigureCell key={f} name={f} value={figure(values, f)} stale={isStale} t={t} format={format} />
      ))}
      <td data-label={t('overview.services')} className="services-cell">
        <Services server={server} stale={freshness === 'lost'} />
      </td>
    </tr>
  )
})

interface FigureProps extends Pick<Text, 't' | 'format'> {
  name: Figure
  value: Value | undefined
  stale: (time: number) => boolean
}

function FigureCell({ name, value, stale, t, format }: FigureProps) {
  const label = t(`figure.${name}`)
  if (!value)
    return (
      <td data-number data-label={label}>
        <span className="dim">—</span>
      </td>
    )
  const old = stale(value.time)
  return (
    <td data-number data-label={label} data-stale={old || undefined}>
      <span className="figures" title={old ? t('stale.since', { time: format.time(value.time) }) : undefined}>
        {writeFigure(format, name, value.value)}
        {old && <span className="visually-hidden">{t('stale.mark')}</span>}
      </span>
      {isPercent(name) && (
        <span className="meter" data-heat={old ? 'none' : heat(name, value.value, 100)} aria-hidden="true">
          <span style={{ width: `${Math.min(100, value.value)}%` }} />
        </span>
      )}
    </td>
  )
}

/** More services than this are counted, not named. */
const named = 1

function Services({ server, stale }: { server: Server; stale: boolean }) {
  const { t } = useText()
  if (server.services.length > named) {
    const running = server.services.filter((s) => s.state === 'running').length
    const all = running === server.services.length
    return (
      <span className="state" data-tone={stale ? 'idle' : all ? 'good' : 'warn'}>
        {t('overview.running', { running, all: server.services.length })}
      </span>
    )
  }
  return server.services.map((s) => (
    <span key={s.id} className="service-mark" data-service={s.name}>
      {s.name} <State of="service" state={s.state} stale={stale} />
    </span>
  ))
}
