import { Button } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { memo } from 'react'
import type { Alert } from '../api/types'
import { useMay } from '../app/rights'
import { AlertHold, heldAccount } from '../holds/AlertHold'
import { useFreshness } from '../live/Live'
import { Glyph } from '../parts/Glyph'
import { State, toneOf } from '../parts/State'
import { Ago } from '../parts/Time'
import { actorName, moment } from '../text/format'
import { useText } from '../text/language'
import { unitOf, useMetricName, write } from '../text/metrics'
import { useAcknowledge } from './data'

/** One alert: what, where, how bad, since when, and the button that takes it. */
export const AlertLine = memo(function AlertLine({ alert }: { alert: Alert }) {
  const { t, format } = useText()
  const metricName = useMetricName()
  const stale = useFreshness() === 'lost'
  const unit = unitOf(alert.metric)
  const where = Object.entries(alert.tags ?? {}).filter(
    ([k]) => k !== 'server' && !(k === 'account' && heldAccount(alert)),
  )
  const tone = alert.state === 'resolved' || stale ? 'idle' : toneOf({ of: 'severity', state: alert.severity })
  return (
    <li className="alert" data-tone={tone} data-alert={alert.id}>
      <div className="alert-text">
        <div className="alert-head">
          <State of="severity" state={alert.severity} stale={stale} />
          <State of="alert" state={alert.state} stale={stale} />
          <p className="alert-title">
            <Link to="/servers/$server" params={{ server: alert.server_name }}>
              {alert.server_name}
            </Link>{' '}
            · {alert.rule_name}
          </p>
        </div>
        <p className="dim figures">
          {metricName(alert.metric)}
          {where.map(([, v]) => ` ${v}`)}: <b>{write(format, unit, alert.value)}</b> {alert.comparison}{' '}
          {write(format, unit, alert.threshold)} ·{' '}
          <Ago at={moment(alert.resolved) ?? moment(alert.fired) ?? alert.since} />
        </p>
        {heldAccount(alert) && <AlertHold alert={alert} />}
        {alert.muted_by && (
          <p className="dim">{t(moment(alert.told) ? 'alerts.wasMuted' : 'alerts.muted', { by: alert.muted_by })}</p>
        )}
      </div>
      <Taking alert={alert} label={t('alerts.acknowledge')} />
    </li>
  )
})

function Taking({ alert, label }: { alert: Alert; label: string }) {
  const { t } = useText()
  const acknowledge = useAcknowledge()
  const mayChange = useMay('alerts', 'write')
  if (moment(alert.acked) !== undefined)
    return (
      <p className="alert-taken dim">
        <Glyph name="up" size={14} /> {t('alerts.taken', { by: actorName(alert.acked_by ?? '') })} ·{' '}
        <Ago at={alert.acked} />
      </p>
    )
  if (alert.state === 'resolved' || !mayChange) return null
  return (
    <Button
      className="alert-button"
      variant="default"
      size="md"
      loading={acknowledge.isPending}
      onClick={() => acknowledge.mutate(alert.id)}
      aria-label={`${label}: ${alert.server_name} · ${alert.rule_name}`}
    >
      {label}
    </Button>
  )
}
