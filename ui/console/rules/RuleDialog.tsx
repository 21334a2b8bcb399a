import { NativeSelect, Switch, TextInput } from '@mantine/core'
import { api, ifMatch } from '../api/client'
import { useList, useReread } from '../api/queries'
import type { Comparison, Contact, NewRule, Rule, Severity } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { namesIn, ServerNames } from '../parts/ServerNames'
import { seconds } from '../text/format'
import { useText } from '../text/language'
import { knownMetrics, unitOf, useMetricName } from '../text/metrics'

const comparisons: { value: Comparison; label: string }[] = [
  { value: '>', label: '>' },
  { value: '>=', label: '≥' },
  { value: '<', label: '<' },
  { value: '<=', label: '≤' },
]
const severities: Severity[] = ['info', 'warning', 'critical']
const lengths = [0, 30, 60, 120, 300, 600, 1800, 3600]

/** A rule as the form has it: numbers as they are typed. */
function draft(r: Rule | undefined) {
  return {
    name: r?.name ?? '',
    metric: r?.metric ?? '',
    comparison: r?.comparison ?? '>',
    value: r ? String(r.value) : '',
    clear: r && r.clear !== r.value ? String(r.clear) : '',
    for: String(r ? seconds(r.for) : 60),
    severity: r?.severity ?? 'warning',
    servers: r?.servers?.join(', ') ?? '',
    recipients: r?.recipients ?? [],
    enabled: r?.enabled ?? true,
  }
}

type Draft = ReturnType<typeof draft>

function requestOf(d: Draft): NewRule {
  return {
    ...d,
    value: Number(d.value),
    clear: d.clear.trim() === '' ? undefined : Number(d.clear),
    for: `${d.for}s`,
    servers: namesIn(d.servers),
  }
}

/** Makes a rule, or changes one. */
export function RuleDialog({ rule, onClose }: { rule?: Rule; onClose: () => void }) {
  const { t, format } = useText()
  const reread = useReread()
  const metricName = useMetricName()
  const form = useForm(draft(rule), async (values) => {
    const body = requestOf(values)
    if (rule) await api.change('PUT', `/rules/${rule.id}`, { body, headers: ifMatch(rule) })
    else await api.change('POST', '/rules', { body })
    await reread('rules')
    onClose()
  })
  const { metric } = form.values
  const known = knownMetrics.includes(metric)
  const unit = metric ? t(`unit.${unitOf(metric)}`) : ''
  const spans = [...new Set([...lengths, Number(form.values.for)])].sort((a, b) => a - b)

  return (
    <Dialog title={t(rule ? 'rules.edit' : 'rules.add')} onClose={onClose}>
      <Form form={form} submit={t('action.save')} onCancel={onClose}>
        <TextInput label={t('rules.name')} required maxLength={100} {...form.text('name')} />
        <TextInput
          label={t('rules.metric')}
          description={metric && !known ? t('rules.metricOther') : metric ? metricName(metric) : t('rules.metricHint')}
          list="metrics"
          required
          spellCheck={false}
          autoComplete="off"
          {...form.text('metric')}
        />
        <datalist id="metrics">
          {knownMetrics.map((m) => (
            <option key={m} value={m} label={metricName(m)} />
          ))}
        </datalist>
        <div className="form-row">
          <NativeSelect label={t('rules.comparison')} data={comparisons} {...form.text('comparison')} />
          <TextInput
            label={[t('rules.value'), unit].filter(Boolean).join(' · ')}
            type="number"
            step="any"
            required
            {...form.text('value')}
          />
          <TextInput
            label={[t('rules.clear'), unit].filter(Boolean).join(' · ')}
            type="number"
            step="any"
            {...form.text('clear')}
          />
        </div>
        <p className="dim form-hint">{t('rules.clearHint')}</p>
        <div className="form-row">
          <NativeSelect
            label={t('rules.for')}
            data={spans.map((s) => ({ value: String(s), label: s === 0 ? t('rules.atOnce') : format.duration(s) }))}
            {...form.text('for')}
          />
          <NativeSelect
            label={t('rules.severity')}
            data={severities.map((s) => ({ value: s, label: t(`state.severity.${s}`) }))}
            {...form.text('severity')}
          />
        </div>
        <ServerNames label={t('rules.servers')} description={t('rules.serversHint')} field={form.text('servers')} />
        <Recipients
          chosen={form.values.recipients}
          onChoose={(ids) => form.set('recipients', ids)}
          complaint={form.complaint('recipients')}
        />
        <Switch
          label={t('rules.enabled')}
          checked={form.values.enabled}
          onChange={(e) => form.set('enabled', e.currentTarget.checked)}
        />
      </Form>
    </Dialog>
  )
}

interface RecipientsProps {
  chosen: string[]
  onChoose: (ids: string[]) => void
  complaint: string | undefined
}

function Recipients({ chosen, onChoose, complaint }: RecipientsProps) {
  const { t } = useText()
  const contacts = useList<Contact>('contacts').data?.pages.flatMap((p) => p.items) ?? []
  return (
    <Switch.Group
      label={t('rules.recipients')}
      description={t(contacts.length > 0 ? 'rules.recipientsHint' : 'rules.noContacts')}
      value={chosen}
      onChange={onChoose}
      error={complaint}
    >
      <div className="form-checks">
        {contacts.map((c) => (
          <Switch key={c.id} value={c.id} label={`${c.name} · ${c.phone}`} />
        ))}
      </div>
    </Switch.Group>
  )
}
