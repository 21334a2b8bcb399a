import { TextInput } from '@mantine/core'
import type { Limits } from '../api/types'
import { Choice } from '../parts/Choice'
import { useText } from '../text/language'
import { features, type LimitDraft, limits, type Switches } from './limits'
import './plans.css'

interface LimitFieldsProps {
  draft: LimitDraft
  onChange: (draft: LimitDraft) => void
  /** What holds where a field is empty. */
  wider?: Limits
  complaint: (name: string) => string | undefined
}

/** Limits to be typed; an empty one is left to the next wider one. */
export function LimitFields({ draft, onChange, wider, complaint }: LimitFieldsProps) {
  const { t, format } = useText()
  return (
    <fieldset className="limits">
      <legend>{t('limits.title')}</legend>
      <p className="dim form-hint">{t('limits.hint')}</p>
      <div className="limit-fields">
        {limits.map(({ name, bytes }) => {
          const typed = Number(draft[name])
          const held = wider?.[name]
          return (
            <TextInput
              key={name}
              size="xs"
              label={bytes ? `${t(`limit.${name}`)} (MiB)` : t(`limit.${name}`)}
              description={bytes && typed >= 1024 ? `= ${format.bytes(typed * 2 ** 20)}` : undefined}
              inputWrapperOrder={['label', 'input', 'description', 'error']}
              placeholder={held ? (bytes ? format.bytes(held) : format.number(held)) : t('limits.none')}
              type="number"
              min={0}
              step={bytes ? 'any' : 1}
              value={draft[name]}
              error={complaint(name)}
              onChange={(e) => onChange({ ...draft, [name]: e.currentTarget.value })}
            />
          )
        })}
      </div>
    </fieldset>
  )
}

interface FeatureFieldsProps {
  switches: Switches
  onChange: (switches: Switches) => void
}

/** What may be used: on, off, or as the next wider one has it. */
export function FeatureFields({ switches, onChange }: FeatureFieldsProps) {
  const { t } = useText()
  const options = (['wider', 'on', 'off'] as const).map((value) => ({ value, label: t(`switch.${value}`) }))
  return (
    <fieldset className="limits">
      <legend>{t('limits.features')}</legend>
      <ul className="feature-fields">
        {features.map((f) => {
          const on = switches[f]
          return (
            <li key={f}>
              <span aria-hidden="true">{t(`feature.${f}`)}</span>
              <Choice
                label={t(`feature.${f}`)}
                value={on === undefined ? 'wider' : on ? 'on' : 'off'}
                options={options}
                onChange={(v) => {
                  const { [f]: _, ...others } = switches
                  onChange(v === 'wider' ? others : { ...others, [f]: v === 'on' })
                }}
              />
            </li>
          )
        })}
      </ul>
    </fieldset>
  )
}
