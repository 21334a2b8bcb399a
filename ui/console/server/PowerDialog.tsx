import { InputBase, NativeSelect, PasswordInput, TextInput } from '@mantine/core'
import { api, ifMatch } from '../api/client'
import { useReread, useServerName, useServers } from '../api/queries'
import type { NewPower, Power, PowerKind, Server } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { byName } from '../text/format'
import { useText } from '../text/language'

const kinds: PowerKind[] = ['ipmi', 'redfish', 'wol', 'command', 'dev']

function draftOf(p: Power | undefined) {
  const kind: PowerKind = p?.kind || 'ipmi'
  return {
    kind,
    address: p?.address ?? '',
    user: p?.user ?? '',
    password: '',
    mac: p?.mac ?? '',
    tls_pin: p?.tls_pin ?? '',
    command: (p?.command ?? []).join('\n'),
    via: p?.via ?? '',
  }
}

type Draft = ReturnType<typeof draftOf>

/** Only what the kind has; a password that is not typed is not sent, so that the one kept stays. */
function requestOf(d: Draft): NewPower {
  const secret = d.kind === 'ipmi' || d.kind === 'redfish'
  return {
    kind: d.kind,
    address: d.kind !== 'command' && d.kind !== 'dev' ? d.address.trim() || undefined : undefined,
    user: secret ? d.user || undefined : undefined,
    password: secret && d.password !== '' ? d.password : undefined,
    mac: d.kind === 'wol' ? d.mac.trim() : undefined,
    tls_pin: d.kind === 'redfish' ? d.tls_pin.trim() || undefined : undefined,
    command: d.kind === 'command' ? d.command.split('\n').filter((l) => l.trim() !== '') : undefined,
    via: d.via || undefined,
  }
}

interface PowerDialogProps {
  server: Server
  power: Power | undefined
  onClose: () => void
}

/** Sets how a server's power is switched. */
export default function PowerDialog({ server, power, onClose }: PowerDialogProps) {
  const { t } = useText()
  const reread = useReread()
  const form = useForm(draftOf(power), async (values) => {
    const headers = power && ifMatch(power)
    await api.change('PUT', `/servers/${server.id}/power`, { body: requestOf(values), headers })
    await reread('powers')
    onClose()
  })
  const { kind } = form.values
  return (
    <Dialog title={t('power.set')} onClose={onClose}>
      <Form form={form} submit={t('action.save')} onCancel={onClose}>
        <NativeSelect
          label={t('power.kind')}
          data={kinds.map((k) => ({ value: k, label: t(`power.kinds.${k}`) }))}
          {...form.text('kind')}
        />
        {(kind === 'ipmi' || kind === 'redfish' || kind === 'wol') && (
          <TextInput
            label={t('power.address')}
            description={t(`power.addressHint.${kind}`)}
            required={kind !== 'wol'}
            spellCheck={false}
            {...form.text('address')}
          />
        )}
        {kind === 'wol' && (
          <TextInput label={t('power.mac')} placeholder="52:54:00:12:34:56" required {...form.text('mac')} />
        )}
        {(kind === 'ipmi' || kind === 'redfish') && (
          <Secret kept={power?.has_secret ?? false} user={form.text('user')} password={form.text('password')} />
        )}
        {kind === 'redfish' && (
          <TextInput
            label={t('power.pin')}
            description={t('power.pinHint')}
            spellCheck={false}
            {...form.text('tls_pin')}
          />
        )}
        {kind === 'command' && (
          <InputBase
            component="textarea"
            multiline
            rows={3}
            label={t('power.command')}
            description={t('power.commandHint')}
            required
            spellCheck={false}
            {...form.text('command')}
          />
        )}
        <Via server={server} field={form.text('via')} />
      </Form>
    </Dialog>
  )
}

function Secret({ kept, user, password }: { kept: boolean; user: object; password: object }) {
  const { t } = useText()
  return (
    <>
      <TextInput label={t('power.user')} autoComplete="off" spellCheck={false} {...user} />
      <PasswordInput
        label={t('power.password')}
        description={t(kept ? 'power.passwordKept' : 'power.passwordNew')}
        placeholder={kept ? '••••••••' : undefined}
        autoComplete="new-password"
        {...password}
      />
    </>
  )
}

/** The server whose agent acts: any other one. */
function Via({ server, field }: { server: Server; field: object }) {
  const { t } = useText()
  const serverName = useServerName()
  const others = (useServers().data ?? []).filter((s) => s.id !== server.id).sort((a, b) => byName(a.name, b.name))
  return (
    <NativeSelect
      label={t('power.via')}
      data={[{ value: '', label: t('power.viaAny') }, ...others.map((s) => ({ value: s.id, label: serverName(s.id) }))]}
      {...field}
    />
  )
}
