import { NativeSelect, TextInput } from '@mantine/core'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { useText } from '../text/language'

interface RerouteDialogProps {
  /** With a host, or with none: to where the mail goes by itself. */
  onRoute: (route: { host: string; port?: number; tls: string } | undefined) => void
  onClose: () => void
}

/** Asks which host queued mail is to be sent to; whom that touches is shown next. */
export function RerouteDialog({ onRoute, onClose }: RerouteDialogProps) {
  const { t } = useText()
  const form = useForm({ host: '', port: '', tls: 'opportunistic' }, async ({ host, port, tls }) =>
    onRoute(host.trim() ? { host: host.trim(), port: port ? Number(port) : undefined, tls } : undefined),
  )
  return (
    <Dialog title={t('kind.queue.reroute')} onClose={onClose}>
      <Form form={form} submit={t('bulk.next')} onCancel={onClose}>
        <div className="form-row">
          <TextInput
            label={t('domain.host')}
            description={t('queue.routeHint')}
            placeholder="relay.example.test"
            spellCheck={false}
            autoComplete="off"
            {...form.text('host')}
          />
          <TextInput
            label={t('domain.port')}
            type="number"
            min={0}
            max={65535}
            placeholder="25"
            {...form.text('port')}
          />
        </div>
        <NativeSelect
          label="TLS"
          data={(['opportunistic', 'required', 'implicit'] as const).map((value) => ({
            value,
            label: t(`domain.tls.${value}`),
          }))}
          {...form.text('tls')}
        />
      </Form>
    </Dialog>
  )
}
