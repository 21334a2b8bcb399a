import { PasswordInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { api } from '../api/client'
import { usePolicy } from '../api/queries'
import { Form, useForm } from '../parts/Form'
import { useTell } from '../parts/Toasts'
import { useText } from '../text/language'

/** Changes one's own password, and says what is asked of one. */
export function PasswordForm() {
  const { t } = useText()
  const tell = useTell()
  const client = useQueryClient()
  const least = usePolicy().data?.password_length ?? 12
  const form = useForm({ current: '', password: '' }, async (body) => {
    await api.change('PUT', '/session/password', { body })
    tell.done(t('password.done'))
    form.set('current', '')
    form.set('password', '')
    await client.invalidateQueries({ queryKey: ['session'] })
    await client.invalidateQueries({ queryKey: ['sessions'] })
  })
  return (
    <Form form={form} submit={t('password.change')}>
      <PasswordInput
        label={t('password.current')}
        autoComplete="current-password"
        required
        withAsterisk={false}
        {...form.text('current')}
      />
      <PasswordInput
        label={t('password.new')}
        description={t('password.hint', { least })}
        autoComplete="new-password"
        minLength={least}
        required
        withAsterisk={false}
        {...form.text('password')}
      />
    </Form>
  )
}
