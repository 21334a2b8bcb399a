import { Checkbox, InputBase, NativeSelect, TextInput } from '@mantine/core'
import type { ReactNode } from 'react'
import type { useForm } from '../parts/Form'
import { useText } from '../text/language'
import type { ConfigDraft } from './config'

interface FieldsProps {
  form: Pick<ReturnType<typeof useForm<ConfigDraft>>, 'values' | 'set' | 'complaint'> & {
    text: (name: keyof ConfigDraft) => object
  }
}

const probes = ['tcp', 'smtp', 'imap', 'pop3', 'http', 'command'] as const

/** Settings that most services leave as they are; unfolded where one of them is set or wrong. */
function Part({ title, set, children }: { title: string; set: boolean; children: ReactNode }) {
  return (
    <details className="form-part" open={set}>
      <summary>{title}</summary>
      <div className="form">{children}</div>
    </details>
  )
}

/** What a process is started in. */
export function Surroundings({ form }: Pick<FieldsProps, 'form'>) {
  const { t } = useText()
  return (
    <>
      <div className="form-row">
        <TextInput label={t('config.dir')} spellCheck={false} {...form.text('dir')} />
        <TextInput
          label={t('config.user')}
          placeholder={t('config.userNone')}
          spellCheck={false}
          {...form.text('user')}
        />
      </div>
      <InputBase
        component="textarea"
        multiline
        rows={2}
        label={t('config.env')}
        description={t('config.envHint')}
        spellCheck={false}
        {...form.text('env')}
      />
    </>
  )
}

/** How a service's health is asked. */
export function Health({ form }: FieldsProps) {
  const { t } = useText()
  const v = form.values
  const complaint = form.complaint('probe')
  return (
    <Part title={t('config.health')} set={v.probe !== '' || complaint !== undefined}>
      <NativeSelect
        label={t('config.probe')}
        data={[
          { value: '', label: t('config.probeNone') },
          ...probes.map((p) => ({ value: p, label: t(`config.probes.${p}`) })),
        ]}
        {...form.text('probe')}
        error={complaint}
      />
      {v.probe === 'command' && (
        <InputBase
          component="textarea"
          multiline
          rows={2}
          label={t('config.commandLine')}
          description={t('config.commandHint')}
          required
          spellCheck={false}
          {...form.text('probeTo')}
        />
      )}
      {v.probe !== 'command' && v.probe !== '' && (
        <TextInput
          label={t(v.probe === 'http' ? 'config.url' : 'config.address')}
          placeholder={v.probe === 'http' ? 'http://127.0.0.1:8080/' : '127.0.0.1:25'}
          required
          spellCheck={false}
          {...form.text('probeTo')}
        />
      )}
      {v.probe !== '' && (
        <>
          <div className="form-row">
            <TextInput label={t('config.interval')} type="number" min={1} placeholder="10" {...form.text('interval')} />
            <TextInput label={t('config.timeout')} type="number" min={1} placeholder="5" {...form.text('timeout')} />
            <TextInput label={t('config.fails')} type="number" min={1} placeholder="3" {...form.text('fails')} />
          </div>
          {v.probe !== 'command' && v.probe !== 'http' && (
            <Checkbox
              label="TLS"
              checked={v.probeTLS}
              onChange={(e) => form.set('probeTLS', e.currentTarget.checked)}
            />
          )}
          <Checkbox
            label={t('config.probeRestart')}
            checked={v.probeRestart}
            onChange={(e) => form.set('probeRestart', e.currentTarget.checked)}
          />
        </>
      )}
    </Part>
  )
}

/** What bounds its processes. */
export function Limits({ form }: FieldsProps) {
  const { t } = useText()
  const v = form.values
  const complaint = form.complaint('limits')
  const fields = ['open_files', 'processes', 'stack', 'memory', 'cpu'] as const
  return (
    <Part title={t('config.limits')} set={fields.some((f) => v[f] !== '') || complaint !== undefined}>
      <div className="form-row">
        {fields.map((f) => (
          <TextInput
            key={f}
            label={t(`config.limit.${f}`)}
            type="number"
            min={0}
            step={f === 'cpu' ? 'any' : 1}
            {...form.text(f)}
          />
        ))}
      </div>
      {complaint && <p className="form-complaint">{complaint}</p>}
    </Part>
  )
}

/** In what order it starts, and how it is told to stop. */
export function Stopping({ form }: FieldsProps) {
  const { t } = useText()
  const v = form.values
  const names = ['after', 'stop_signal', 'stop_grace', 'reload_signal'] as const
  const set = names.some((n) => v[n] !== '' || form.complaint(n) !== undefined)
  return (
    <Part title={t('config.order')} set={set}>
      <TextInput
        label={t('config.after')}
        description={t('config.afterHint')}
        spellCheck={false}
        {...form.text('after')}
      />
      <div className="form-row">
        <TextInput label={t('config.stopSignal')} placeholder="TERM" spellCheck={false} {...form.text('stop_signal')} />
        <TextInput label={t('config.stopGrace')} type="number" min={0} placeholder="10" {...form.text('stop_grace')} />
        <TextInput
          label={t('config.reloadSignal')}
          placeholder="HUP"
          spellCheck={false}
          {...form.text('reload_signal')}
        />
      </div>
    </Part>
  )
}
