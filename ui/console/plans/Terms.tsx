import type { Limits } from '../api/types'
import { Glyph } from '../parts/Glyph'
import { useText } from '../text/language'
import { features, limits, type Switches } from './limits'
import './plans.css'

/** The limits that are said, with what they are of. */
export function LimitLine({ of }: { of: Limits | undefined }) {
  const { t, format } = useText()
  const said = limits.filter(({ name }) => of?.[name])
  if (said.length === 0) return <span className="dim">{t('limits.none')}</span>
  return (
    <ul className="limit-line">
      {said.map(({ name, bytes }) => (
        <li key={name}>
          <span className="dim">{t(`limit.${name}`)}</span>{' '}
          {bytes ? format.bytes(of?.[name] ?? 0) : format.number(of?.[name] ?? 0)}
        </li>
      ))}
    </ul>
  )
}

/** Features with whether they are on; those of which nothing is said are left out. */
export function FeatureList({ of }: { of: Switches | undefined }) {
  const { t } = useText()
  const said = features.filter((f) => of?.[f] !== undefined)
  if (said.length === 0) return <span className="dim">{t('switch.wider')}</span>
  return (
    <ul className="feature-list">
      {said.map((f) => (
        <li key={f} data-on={of?.[f]}>
          <Glyph name={of?.[f] ? 'up' : 'down'} size={12} />
          {t(`feature.${f}`)}
          <span className="visually-hidden">{t(of?.[f] ? 'switch.on' : 'switch.off')}</span>
        </li>
      ))}
    </ul>
  )
}
