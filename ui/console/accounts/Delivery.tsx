import { Button, Checkbox, InputBase, NativeSelect } from '@mantine/core'
import { useState } from 'react'
import { api, ifMatch } from '../api/client'
import { useReread } from '../api/queries'
import type { Account, AccountTerms } from '../api/types'
import { useMay } from '../app/rights'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { Section } from '../parts/Screen'
import { namesIn } from '../parts/ServerNames'
import { useText } from '../text/language'

/** The other addresses of an account, and where its mail goes besides its mailbox. */
export function Delivery({ account }: { account: AccountTerms }) {
  const { t } = useText()
  const mayWrite = useMay('accounts', 'write')
  const [editing, setEditing] = useState(false)
  const to = account.forward?.to ?? []
  const list = (addresses: string[], none: string) =>
    addresses.length === 0 ? (
      <span className="dim">{none}</span>
    ) : (
      <ul>
        {addresses.map((a) => (
          <li key={a}>{a}</li>
        ))}
      </ul>
    )
  return (
    <Section
      title={t('delivery.title')}
      aside={
        mayWrite && (
          <Button
            size="xs"
            variant="default"
            aria-label={`${t('action.edit')}: ${t('delivery.title')}`}
            onClick={() => setEditing(true)}
          >
            {t('action.edit')}
          </Button>
        )
      }
    >
      <dl className="facts">
        <div>
          <dt>{t('delivery.aliases')}</dt>
          <dd>{list(account.aliases ?? [], t('delivery.noAliases'))}</dd>
        </div>
        <div>
          <dt>{t('delivery.forward')}</dt>
          <dd>
            {list(to, t('delivery.noForward'))}
            {to.length > 0 && (
              <p className="dim">{t(account.forward?.keep ? 'delivery.keeps' : 'delivery.keepsNot')}</p>
            )}
          </dd>
        </div>
        <div>
          <dt>{t('delivery.language')}</dt>
          <dd>{t(`delivery.in.${account.language === 'en' ? 'en' : 'zh'}`)}</dd>
        </div>
      </dl>
      {editing && <DeliveryDialog account={account} onClose={() => setEditing(false)} />}
    </Section>
  )
}

function DeliveryDialog({ account, onClose }: { account: AccountTerms; onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const initial = {
    aliases: (account.aliases ?? []).join('\n'),
    forward: (account.forward?.to ?? []).join('\n'),
    keep: account.forward?.keep ?? true,
    language: (account.language ?? 'zh-CN') as NonNullable<Account['language']>,
  }
  const form = useForm(initial, async ({ aliases, forward, keep, language }) => {
    const to = namesIn(forward)
    const body = {
      aliases: namesIn(aliases).map((a) => (a.includes('@') ? a : `${a}@${account.domain}`)),
      forward: to.length > 0 ? { to, keep } : {},
      language,
    }
    await api.change('PATCH', `/accounts/${account.id}`, { body, headers: ifMatch(account) })
    await reread('accounts')
    onClose()
  })
  return (
    <Dialog title={t('delivery.edit', { address: account.address })} onClose={onClose}>
      <Form form={form} submit={t('action.save')} onCancel={onClose}>
        <InputBase
          component="textarea"
          multiline
          rows={3}
          label={t('delivery.aliases')}
          description={t('delivery.aliasesHint')}
          spellCheck={false}
          {...form.text('aliases')}
        />
        <InputBase
          component="textarea"
          multiline
          rows={3}
          label={t('delivery.forward')}
          description={t('delivery.forwardHint')}
          spellCheck={false}
          {...form.text('forward')}
        />
        <Checkbox
          label={t('delivery.keep')}
          disabled={form.values.forward.trim() === ''}
          checked={form.values.keep}
          onChange={(e) => form.set('keep', e.currentTarget.checked)}
        />
        <NativeSelect
          label={t('delivery.language')}
          description={t('delivery.languageHint')}
          data={[
            { value: 'zh-CN', label: t('delivery.in.zh') },
            { value: 'en', label: t('delivery.in.en') },
          ]}
          {...form.text('language')}
        />
      </Form>
    </Dialog>
  )
}
