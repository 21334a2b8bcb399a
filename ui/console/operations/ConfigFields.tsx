import type { useForm } from '../parts/Form'
import type { ConfigDraft } from '../server/config'
import { Health, Limits, Stopping, Surroundings } from '../server/ServiceFields'
import { useText } from '../text/language'

interface ConfigFieldsProps {
  draft: ConfigDraft
  onChange: (d: ConfigDraft) => void
  complaint: ReturnType<typeof useForm>['complaint']
}

/** Settings to put in place of those of several services at once; what stays empty stays as it is. */
export function ConfigFields({ draft, onChange, complaint }: ConfigFieldsProps) {
  const { t } = useText()
  const set = <K extends keyof ConfigDraft>(name: K, value: ConfigDraft[K]) => onChange({ ...draft, [name]: value })
  const text = (name: keyof ConfigDraft) => ({
    value: String(draft[name]),
    onChange: (e: { currentTarget: { value: string } }) => set(name, e.currentTarget.value as never),
    error: complaint(name),
    name,
  })
  const form = { values: draft, set, complaint, text }
  return (
    <fieldset className="settings">
      <legend>{t('operate.config')}</legend>
      <p className="dim form-hint">{t('operate.configHint')}</p>
      <Surroundings form={form} />
      <Health form={form} />
      <Limits form={form} />
      <Stopping form={form} />
    </fieldset>
  )
}
