import { Button, InputBase, NativeSelect, TextInput } from '@mantine/core'
import { api, ifMatch } from '../api/client'
import { useReread } from '../api/queries'
import type { Server, Service } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { useText } from '../text/language'
import { settingsOf } from './config'
import {
  type FlowDraft,
  flowDraft,
  flowOf,
  type Listener,
  listenerNumbers,
  listenerSwitches,
  numbers,
  switches,
} from './flow'

interface FlowDialogProps {
  server: Server
  service: Service
  onClose: () => void
}

/** Changes how a mailnode takes mail: its limits, and what it does to keep bad mail away. */
export default function FlowDialog({ server, service, onClose }: FlowDialogProps) {
  const { t } = useText()
  const reread = useReread()
  const form = useForm(flowDraft(service.mail), async (v) => {
    const config = { ...settingsOf(service), mail: flowOf(v, service.mail) }
    await api.change('PATCH', `/services/${service.id}`, { body: { config }, headers: ifMatch(service) })
    await reread('servers')
    onClose()
  })
  type Field = Exclude<keyof FlowDraft, 'listeners'>
  const limit = (name: Field, usual: string) => (
    <TextInput type="number" min={0} label={t(`flow.${name}`)} placeholder={usual} {...form.text(name)} />
  )
  const choice = (name: Field, usual: string, of: readonly ('none' | 'mark' | 'quarantine' | 'refuse')[]) => (
    <NativeSelect
      label={t(`flow.${name}`)}
      data={[
        { value: '', label: t('flow.usual', { usual }) },
        ...of.map((value) => ({ value, label: t(`handling.${value}`) })),
      ]}
      {...form.text(name)}
    />
  )
  const words = (name: Field) => (
    <InputBase
      component="textarea"
      multiline
      rows={2}
      label={t(`flow.${name}`)}
      description={t(`flow.${name}Hint` as 'flow.blocklistsHint')}
      spellCheck={false}
      {...form.text(name)}
    />
  )
  const complaint = form.complaint('config')
  return (
    <Dialog title={t('flow.of', { service: service.name, server: server.name })} onClose={onClose}>
      <Form form={form} submit={t('action.save')} onCancel={onClose}>
        <div className="form-row form-pairs">
          {limit('message_size', '50')}
          {limit('mail_max', t('flow.unlimited'))}
          {limit('messages_an_hour', '1000')}
          {limit('sent_an_hour', '3000')}
          {limit('brake_least', '50')}
          {limit('brake_factor', '10')}
        </div>
        <p className="dim">{t('flow.limitsHint')}</p>
        <div className="form-row form-pairs">
          {switches.map((name) => (
            <NativeSelect
              key={name}
              label={t(`flow.${name}`)}
              data={[
                {
                  value: '',
                  label: t('flow.usual', { usual: t(name === 'greylisting' ? 'domain.off' : 'domain.on') }),
                },
                { value: 'on', label: t('domain.on') },
                { value: 'off', label: t('domain.off') },
              ]}
              {...form.text(name)}
            />
          ))}
          {choice('reverse_names', t('handling.mark'), ['none', 'mark', 'refuse'])}
          {choice('dmarc', t('handling.quarantine'), ['none', 'mark', 'quarantine', 'refuse'])}
        </div>
        <div className="form-row form-pairs">
          {numbers.map((name) => (
            <div key={name}>{limit(name, usualNumbers[name])}</div>
          ))}
        </div>
        <p className="dim">{t('flow.numbersHint')}</p>
        {words('blocklists')}
        {words('sealers')}
        {words('hooks_to')}
        <Listeners
          list={form.values.listeners}
          usual={service.ports?.smtp}
          onChange={(list) => form.set('listeners', list)}
        />
        {complaint && <p className="form-complaint">{complaint}</p>}
      </Form>
    </Dialog>
  )
}

/** What holds when nothing is typed. */
const usualNumbers: Record<(typeof numbers)[number], string> = {
  connections: '1000',
  address_connections: '50',
  network_connections: '500',
  address_rate: '300',
  error_rate: '60',
}

interface ListenersProps {
  list: Listener[]
  /** The server's own port. */
  usual?: number
  onChange: (list: Listener[]) => void
}

/** Ports for mail from other servers that do some things otherwise. */
function Listeners({ list, usual, onChange }: ListenersProps) {
  const { t } = useText()
  const change = (at: number, to: Partial<Listener>) => onChange(list.map((l, i) => (i === at ? { ...l, ...to } : l)))
  return (
    <details className="form-part" open={list.length > 0}>
      <summary>{t('flow.listeners')}</summary>
      <div className="form">
        <p className="dim">{t('flow.listenersHint', { port: String(usual ?? 25) })}</p>
        {list.map((l, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place, its port is being typed
          <fieldset key={i} className="form-row form-pairs">
            <legend>{t('flow.listener', { port: String(l.port || '…') })}</legend>
            <TextInput
              type="number"
              min={1}
              max={65535}
              required
              label={t('domain.port')}
              value={l.port || ''}
              onChange={(e) => change(i, { port: Number(e.currentTarget.value) })}
            />
            {listenerSwitches.map((name) => (
              <NativeSelect
                key={name}
                label={t(`flow.${name}`)}
                data={[
                  { value: '', label: t('domain.asServer') },
                  { value: 'on', label: t('domain.on') },
                  { value: 'off', label: t('domain.off') },
                ]}
                value={l[name] ?? ''}
                onChange={(e) => change(i, { [name]: e.currentTarget.value || undefined })}
              />
            ))}
            {listenerNumbers.map((name) => (
              <TextInput
                key={name}
                type="number"
                min={0}
                label={t(`flow.${name}`)}
                placeholder={t('domain.asServer')}
                value={l[name] || ''}
                onChange={(e) => change(i, { [name]: Number(e.currentTarget.value) || undefined })}
              />
            ))}
            <Button
              size="xs"
              variant="default"
              aria-label={`${t('action.delete')}: ${t('flow.listener', { port: String(l.port || '…') })}`}
              onClick={() => onChange(list.filter((_, at) => at !== i))}
            >
              {t('action.delete')}
            </Button>
          </fieldset>
        ))}
        <Button size="xs" variant="default" onClick={() => onChange([...list, { port: 0 }])}>
          {t('flow.addListener')}
        </Button>
      </div>
    </details>
  )
}
