import { NativeSelect, TextInput } from '@mantine/core'
import { api } from '../api/client'
import { useReread } from '../api/queries'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { namesIn, ServerNames } from '../parts/ServerNames'
import { useText } from '../text/language'

/** How long it lasts, in seconds. */
const lengths = [900, 1800, 3600, 7200, 4 * 3600, 8 * 3600, 24 * 3600, 3 * 86400, 7 * 86400]

/** Opens a maintenance window, now or later. */
export function WindowDialog({ onClose }: { onClose: () => void }) {
  const { t, format } = useText()
  const reread = useReread()
  const form = useForm({ reason: '', servers: '', from: '', to: '3600' }, async ({ reason, servers, from, to }) => {
    const begin = from ? new Date(from) : undefined
    const end = new Date((begin?.getTime() ?? Date.now()) + Number(to) * 1000)
    const body = { reason, servers: namesIn(servers), from: begin?.toISOString(), to: end.toISOString() }
    await api.change('POST', '/windows', { body })
    await reread('windows')
    onClose()
  })
  return (
    <Dialog title={t('windows.add')} onClose={onClose}>
      <Form form={form} submit={t('windows.open')} onCancel={onClose}>
        <p>{t('windows.text')}</p>
        <TextInput label={t('windows.reason')} required maxLength={1000} {...form.text('reason')} />
        <ServerNames label={t('windows.servers')} description={t('rules.serversHint')} field={form.text('servers')} />
        <div className="form-row">
          <TextInput label={t('windows.fromNow')} type="datetime-local" {...form.text('from')} />
          <NativeSelect
            label={t('windows.length')}
            data={lengths.map((s) => ({ value: String(s), label: format.duration(s) }))}
            {...form.text('to')}
          />
        </div>
      </Form>
    </Dialog>
  )
}
