import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { Operation } from '../api/types'
import { useFreshness } from '../live/Live'
import { State } from '../parts/State'
import { At, Until } from '../parts/Time'
import { actorName, moment } from '../text/format'
import { useText } from '../text/language'
import { Progress } from './Progress'

/** What was asked and how it stands, short. */
export function OperationFacts({ operation: o }: { operation: Operation }) {
  const { t } = useText()
  const stale = useFreshness() === 'lost'
  const ended = moment(o.ended) !== undefined
  return (
    <dl className="facts">
      <Fact name={t('operation.state')}>
        <State of="operation" state={o.state} stale={stale} />
      </Fact>
      <Fact name={t('operation.progress')}>
        <Progress operation={o} />
      </Fact>
      <Fact name={t('operation.actor')}>
        {actorName(o.actor)}
        {o.approval?.by && (
          <small className="dim"> {t('operation.approvedBy', { by: actorName(o.approval.by) })}</small>
        )}
      </Fact>
      <Fact name={t('operation.reason')}>{o.reason || '—'}</Fact>
      <Fact name={t('operation.created')}>
        <At at={o.created} />
      </Fact>
      <Fact name={t(ended ? 'operation.ended' : 'operation.expires')}>
        {ended ? <At at={o.ended} /> : <Until at={o.expires} />}
      </Fact>
      {o.selector && (
        <Fact name={t('operation.selector')}>
          <code>{o.selector}</code>
        </Fact>
      )}
      {o.rolling && (
        <Fact name={t('operation.rolling')}>
          {t('operation.rollingOf', { batch: o.rolling.batch, max: o.rolling.max_unavailable })}
        </Fact>
      )}
      {o.override && o.override.length > 0 && (
        <Fact name={t('operation.override')}>
          {o.override.map((n) => t(`refusal.${n}` as 'refusal.controller', { defaultValue: n })).join(' · ')}
        </Fact>
      )}
      {o.window && (
        <Fact name={t('operation.window')}>
          <Link to="/windows">{t('operation.seeWindow')}</Link>
        </Fact>
      )}
    </dl>
  )
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}
