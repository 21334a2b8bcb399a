import { PasswordInput } from '@mantine/core'
import { api } from '../api/client'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { useTell } from '../parts/Toasts'
import { useText } from '../text/language'

/** Changes one's own password. */
export function PasswordDialog({ onClose }: { onClose: () => void }) {
  const { t } = useText()
  const tell = useTell()
  const form = useForm({ current: '', password: '' }, async (body) => {
    await api.change('PUT', '/session/password', { body })
    tell.done(t('password.done'))
    onClose()
  })
  return (
    <Dialog title={t('password.title')} onClose={onClose}>
      <Form form={form} submit={t('password.change')} onCancel={onClose}>
        <PasswordInput
          label={t('password.current')}
          autoComplete="current-password"
          required
          {...form.text('current')}
        />
        <PasswordInput
          label={t('password.new')}
          description={t('password.hint')}
          autoComplete="new-password"
          minLength={12}
          required
          {...form.text('password')}
        />
      </Form>
    </Dialog>
  )
}
