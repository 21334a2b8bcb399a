import { Link } from '@tanstack/react-router'
import { memo } from 'react'
import type { Server } from '../api/types'
import { useFreshness } from '../live/Live'
import { useNow } from '../live/now'
import { type ServerReadings, useReadings } from '../live/readings'
import { staleSample } from '../live/stale'
import { State } from '../parts/State'
import { useText } from '../text/language'
import { useRates } from './data'
import { type Figure, figure, figures, heat, isPercent, writeFigure } from './figures'

/** One server; it hears only of its own readings. */
export const ServerRow = memo(function ServerRow({ server, index }: { server: Server; index: number }) {
  const { t } = useText()
  const freshness = useFreshness()
  const values = useReadings(server.name)
  useRates(server, values)
  return (
    <tr aria-rowindex={index} data-server={server.name}>
      <td data-label={t('overview.state')}>
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
        <FigureCell key={f} server={server} readings={values} name={f} />
      ))}
      <td data-label={t('overview.services')} className="services-cell">
        <Services server={server} stale={freshness === 'lost'} />
      </td>
    </tr>
  )
})

function FigureCell({ server, readings, name }: { server: Server; readings: ServerReadings; name: Figure }) {
  const { t, format } = useText()
  const freshness = useFreshness()
  const now = useNow()
  const v = figure(readings, name)
  const label = t(`figure.${name}`)
  if (!v)
    return (
      <td data-number data-label={label}>
        <span className="dim">—</span>
      </td>
    )
  const stale = staleSample(freshness, server, v.time, now)
  return (
    <td data-number data-label={label} data-stale={stale !== undefined || undefined}>
      <span className="figures" title={stale && t('stale.since', { time: format.time(v.time) })}>
        {writeFigure(format, name, v.value)}
        {stale && <span className="visually-hidden">{t('stale.mark')}</span>}
      </span>
      {isPercent(name) && (
        <span className="meter" data-heat={stale ? 'none' : heat(name, v.value, 100)} aria-hidden="true">
          <span style={{ width: `${Math.min(100, v.value)}%` }} />
        </span>
      )}
    </td>
  )
}

/** More services than this are counted, not named. */
const named = 2

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
