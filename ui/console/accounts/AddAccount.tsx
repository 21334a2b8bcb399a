import { NativeSelect, PasswordInput, TextInput } from '@mantine/core'
import { api } from '../api/client'
import { useReread, useServers } from '../api/queries'
import { useMay } from '../app/rights'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { useText } from '../text/language'

/** Makes a mailbox. Without a server the controller chooses the one with the fewest. */
export function AddAccount({ domain, onClose }: { domain?: string; onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const servers = useServers().data?.filter((s) => s.state !== 'removed') ?? []
  const mayHome = useMay('servers', 'read') // which server is the fleet's people's to say
  const initial = { address: domain ? `@${domain}` : '', name: '', password: '', server: '' }
  const form = useForm(initial, async ({ server, ...body }) => {
    await api.change('POST', '/accounts', { body: server ? { ...body, server } : body })
    await reread('accounts')
    onClose()
  })
  return (
    <Dialog title={t('accounts.add')} onClose={onClose}>
      <Form form={form} submit={t('action.add')} onCancel={onClose}>
        <TextInput
          label={t('accounts.address')}
          type="email"
          spellCheck={false}
          autoComplete="off"
          required
          {...form.text('address')}
        />
        <TextInput label={t('accounts.name')} autoComplete="off" {...form.text('name')} />
        <PasswordInput
          label={t('accounts.password')}
          description={t('accounts.passwordHint')}
          autoComplete="new-password"
          minLength={8}
          required
          {...form.text('password')}
        />
        {mayHome && (
          <NativeSelect
            label={t('accounts.server')}
            data={[
              { value: '', label: t('accounts.anyServer') },
              ...servers.map((s) => ({ value: s.name, label: s.name })),
            ]}
            {...form.text('server')}
          />
        )}
      </Form>
    </Dialog>
  )
}
