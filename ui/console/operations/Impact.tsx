import { Checkbox } from '@mantine/core'
import { useId } from 'react'
import type { Impact as ImpactOf, OperationKind } from '../api/types'
import { useFreshness } from '../live/Live'
import { Glyph } from '../parts/Glyph'
import { State } from '../parts/State'
import { useText } from '../text/language'
import { interrupts, onQueue } from './kinds'

/** More targets than this are counted, not named. */
const named = 8

interface ImpactProps {
  kind: OperationKind
  impact: ImpactOf
  several: boolean
}

/** Whom and what an operation would touch. */
export function Impact({ kind, impact, several }: ImpactProps) {
  const { t, say, format } = useText()
  const heading = useId()
  const figure = (n: number) => (n < 0 ? t('operate.unknown') : format.number(n))
  return (
    <section className="impact" aria-labelledby={heading}>
      <h3 id={heading}>{t('operate.impact')}</h3>
      {interrupts(kind) && (
        <dl className="impact-figures">
          <Figure name={t('operate.users')} value={figure(impact.users)} some={impact.users !== 0} />
          <Figure name={t('operate.sessions')} value={figure(impact.sessions)} some={impact.sessions !== 0} />
          <Figure name={t('operate.queued')} value={figure(impact.queued)} some={impact.queued !== 0} />
          <Figure name={t('operate.away')} value={figure(impact.unavailable)} some={impact.unavailable !== 0} />
        </dl>
      )}
      {onQueue(kind) && (
        <dl className="impact-figures">
          <Figure name={t('queue.entries')} value={figure(impact.queued)} some={impact.queued !== 0} />
        </dl>
      )}
      {impact.warnings.map((w, i) => (
        <p key={w} className="impact-warning">
          <Glyph name="warning" />
          {say(w, impact.said[i])}
        </p>
      ))}
      {several && <Targets impact={impact} />}
    </section>
  )
}

function Figure({ name, value, some }: { name: string; value: string; some: boolean }) {
  return (
    <div data-some={some}>
      <dt>{name}</dt>
      <dd className="figures">{value}</dd>
    </div>
  )
}

function Targets({ impact }: { impact: ImpactOf }) {
  const { t } = useText()
  const stale = useFreshness() === 'lost'
  const { targets, batches } = impact
  return (
    <details className="impact-targets" open={targets.length <= named}>
      <summary>
        {t('operate.targets', { count: targets.length })}
        {batches > 1 && ` · ${t('operate.batches')} ${batches}`}
      </summary>
      <ul>
        {targets.slice(0, 100).map((one) => (
          <li key={`${one.server}/${one.service}`}>
            <span>
              {one.server_name} {one.service}
            </span>
            {one.service_state ? (
              <State of="service" state={one.service_state} stale={stale} />
            ) : (
              <State of="server" state={one.state} stale={stale} />
            )}
          </li>
        ))}
        {targets.length > 100 && <li className="dim">{t('operate.more', { count: targets.length - 100 })}</li>}
      </ul>
    </details>
  )
}

interface RefusalsProps {
  refusals: ImpactOf['refusals']
  chosen: string[]
  onChoose: (names: string[]) => void
  complaint: string | undefined
}

/** Why it would be refused; each reason is passed over by name. */
export function Refusals({ refusals, chosen, onChoose, complaint }: RefusalsProps) {
  const { t, say } = useText()
  const names = [...new Set(refusals.map((r) => r.name))]
  return names.map((name) => (
    <div key={name} className="notice" data-tone="bad">
      <Glyph name="warning" size={20} />
      <div>
        <p className="notice-title">{t(`refusal.${name}` as 'refusal.controller', { defaultValue: name })}</p>
        {refusals
          .filter((r) => r.name === name)
          .map((r) => (
            <p key={r.message}>{say(r.message, r.said)}</p>
          ))}
        <Checkbox
          label={t('operate.override')}
          error={complaint !== undefined && !chosen.includes(name)}
          checked={chosen.includes(name)}
          onChange={(e) => onChoose(e.currentTarget.checked ? [...chosen, name] : chosen.filter((n) => n !== name))}
        />
      </div>
    </div>
  ))
}
