import { Button, PasswordInput } from '@mantine/core'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api, ifMatch } from '../api/client'
import { useReread } from '../api/queries'
import type { Account, AccountTerms } from '../api/types'
import { useMay } from '../app/rights'
import { Confirm } from '../parts/Confirm'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { useTell } from '../parts/Toasts'
import { useText } from '../text/language'
import { AccountDialog } from './AccountDialog'
import { Suspend } from './Suspend'

/** What the signed-in person may do with an account. */
export function AccountActs({ account }: { account: AccountTerms }) {
  const { t } = useText()
  const mayWrite = useMay('accounts', 'write')
  const maySuspend = useMay('accounts', 'suspend')
  const mayPassword = useMay('accounts', 'password')
  const [asked, setAsked] = useState<'edit' | 'password' | 'delete'>()
  const close = () => setAsked(undefined)
  return (
    <div className="acts">
      {mayWrite && (
        <Button size="xs" variant="default" onClick={() => setAsked('edit')}>
          {t('action.edit')}
        </Button>
      )}
      {mayPassword && (
        <Button size="xs" variant="default" onClick={() => setAsked('password')}>
          {t('account.setPassword')}
        </Button>
      )}
      {maySuspend && <Suspend account={account} />}
      {mayWrite && (
        <Button size="xs" variant="default" onClick={() => setAsked('delete')}>
          {t('action.delete')}
        </Button>
      )}
      {asked === 'edit' && <AccountDialog account={account} onClose={close} />}
      {asked === 'password' && <Password account={account} onClose={close} />}
      {asked === 'delete' && <Remove account={account} onClose={close} />}
    </div>
  )
}

function Password({ account, onClose }: { account: Account; onClose: () => void }) {
  const { t } = useText()
  const tell = useTell()
  const reread = useReread()
  const form = useForm({ password: '' }, async (body) => {
    await api.change('PATCH', `/accounts/${account.id}`, { body, headers: ifMatch(account) })
    tell.done(t('account.passwordSet', { address: account.address }))
    await reread('accounts')
    onClose()
  })
  return (
    <Dialog title={t('account.passwordOf', { address: account.address })} onClose={onClose}>
      <Form form={form} submit={t('account.setPassword')} onCancel={onClose}>
        <PasswordInput
          label={t('password.new')}
          description={t('accounts.passwordHint')}
          autoComplete="new-password"
          minLength={8}
          required
          {...form.text('password')}
        />
      </Form>
    </Dialog>
  )
}

function Remove({ account, onClose }: { account: Account; onClose: () => void }) {
  const { t } = useText()
  const navigate = useNavigate()
  const reread = useReread()
  return (
    <Confirm
      title={t('accounts.deleteTitle', { address: account.address })}
      action={t('action.delete')}
      danger
      onConfirm={async () => {
        await api.change('DELETE', `/accounts/${account.id}`, { headers: ifMatch(account) })
        await navigate({ to: '/accounts', search: { domain: account.domain } })
        await reread('accounts')
      }}
      onClose={onClose}
    >
      <p>{t('accounts.deleteText')}</p>
    </Confirm>
  )
}
