import { InputBase, TextInput } from '@mantine/core'
import { api, ifMatch } from '../api/client'
import { useReread } from '../api/queries'
import type { NewService, Server, Service } from '../api/types'
import { Choice } from '../parts/Choice'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { useText } from '../text/language'
import { type ConfigDraft, configOf, draftOf, newService, settingsOf } from './config'
import { Health, Limits, Stopping, Surroundings } from './ServiceFields'

interface Draft extends ConfigDraft {
  name: string
  kind: NonNullable<NewService['kind']> | 'mailnode'
}

interface ServiceDialogProps {
  server: Server
  /** As it was when the dialog was opened; a new service without it. */
  service?: Service
  onClose: () => void
}

/** The version to change: the present one, unless the settings are others than those that were opened. */
function seen(server: Server, service: Service): Service {
  const now = server.services.find((s) => s.id === service.id)
  const same = now && JSON.stringify(settingsOf(now)) === JSON.stringify(settingsOf(service))
  return same ? now : service
}

/** Has a command or a systemd unit supervised, or changes how a service is run. */
export default function ServiceDialog({ server, service, onClose }: ServiceDialogProps) {
  const { t } = useText()
  const reread = useReread()
  const before = service && settingsOf(service)
  const first: Draft = { ...draftOf(before), name: service?.name ?? '', kind: service?.kind ?? 'command' }
  const form = useForm(first, async ({ name, kind, ...draft }) => {
    if (service) {
      const headers = ifMatch(seen(server, service))
      await api.change('PATCH', `/services/${service.id}`, { body: { config: configOf(draft, before) }, headers })
    } else if (kind !== 'mailnode') {
      await api.change('POST', '/services', { body: newService(draft, { server: server.id, name, kind }) })
    }
    await reread('servers')
    onClose()
  })
  const { kind } = form.values
  const title = service ? t('config.edit', { service: service.name, server: server.name }) : t('service.add')
  return (
    <Dialog title={title} onClose={onClose}>
      <Form form={form} submit={t(service ? 'action.save' : 'action.add')} onCancel={onClose}>
        {!service && (
          <>
            <Choice
              label={t('config.kind')}
              value={kind}
              onChange={(k) => form.set('kind', k)}
              options={[
                { value: 'command', label: t('config.command') },
                { value: 'unit', label: t('config.unit') },
              ]}
            />
            <TextInput label={t('config.name')} required spellCheck={false} {...form.text('name')} />
          </>
        )}
        {kind === 'command' && (
          <InputBase
            component="textarea"
            multiline
            rows={3}
            label={t('config.commandLine')}
            description={t('config.commandHint')}
            required
            spellCheck={false}
            {...form.text('command')}
          />
        )}
        {kind === 'unit' && (
          <TextInput
            label={t('config.unitName')}
            description={t('config.unitHint')}
            required
            spellCheck={false}
            {...form.text('unit')}
          />
        )}
        {kind !== 'unit' && <Surroundings form={form} />}
        <Health form={form} />
        <Limits form={form} />
        <Stopping form={form} />
        {service && <p className="dim form-hint">{t('config.pendingHint')}</p>}
      </Form>
    </Dialog>
  )
}
