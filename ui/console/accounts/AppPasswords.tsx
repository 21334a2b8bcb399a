import { Button, NativeSelect, Switch, TextInput } from '@mantine/core'
import { useState } from 'react'
import { api } from '../api/client'
import { useReread } from '../api/queries'
import type { AccountTerms, AppPassword, IssuedAppPassword } from '../api/types'
import { useMay } from '../app/rights'
import { Act } from '../parts/Acts'
import { Confirm } from '../parts/Confirm'
import { type Column, Rows } from '../parts/DataTable'
import { Dialog } from '../parts/Dialog'
import { Empty } from '../parts/Feedback'
import { Form, useForm } from '../parts/Form'
import { Glyph } from '../parts/Glyph'
import { Section } from '../parts/Screen'
import { ShownOnce } from '../parts/Secret'
import { Ago, Until } from '../parts/Time'
import { moment } from '../text/format'
import { useText } from '../text/language'

const protocols = ['smtp', 'pop3', 'imap'] as const
type Protocol = (typeof protocols)[number]

/** Passwords for one application or device each. */
export function AppPasswords({ account }: { account: AccountTerms }) {
  const { t } = useText()
  const reread = useReread()
  const mayWrite = useMay('accounts', 'write')
  const [adding, setAdding] = useState(false)
  const [revoking, setRevoking] = useState<AppPassword>()
  const list = account.app_passwords ?? []
  const columns: Column<AppPassword>[] = [
    { head: t('account.app'), wide: true, cell: (p) => <b>{p.name}</b> },
    {
      head: t('account.goodFor'),
      cell: (p) => p.protocols?.map((x) => t(`feature.${x as Protocol}`)).join(', ') || t('account.everything'),
    },
    { head: t('tokens.created'), cell: (p) => <Ago at={p.created} /> },
    {
      head: t('tokens.expires'),
      cell: (p) => (moment(p.expires) === undefined ? t('tokens.never') : <Until at={p.expires ?? ''} />),
    },
    {
      head: t('action.actions'),
      quiet: true,
      cell: (p) =>
        mayWrite && (
          <div className="acts">
            <Act label={t('tokens.revoke')} of={p.name} onClick={() => setRevoking(p)} />
          </div>
        ),
    },
  ]
  const add = mayWrite && (
    <Button size="xs" variant="default" leftSection={<Glyph name="plus" size={14} />} onClick={() => setAdding(true)}>
      {t('account.addApp')}
    </Button>
  )
  return (
    <Section title={t('account.apps')} aside={add}>
      {list.length > 0 ? (
        <Rows label={t('account.apps')} columns={columns} rows={list} />
      ) : (
        <Empty title={t('account.noApps')}>
          <p>{t('account.noAppsText')}</p>
        </Empty>
      )}
      {adding && <AppPasswordDialog account={account} onClose={() => setAdding(false)} />}
      {revoking && (
        <Confirm
          title={t('account.revokeTitle', { name: revoking.name })}
          action={t('tokens.revoke')}
          danger
          onConfirm={async () => {
            await api.change('DELETE', `/accounts/${account.id}/app-passwords/${revoking.id}`)
            await reread('accounts')
          }}
          onClose={() => setRevoking(undefined)}
        >
          <p>{t('account.revokeText')}</p>
        </Confirm>
      )}
    </Section>
  )
}

const day = 86_400_000

function AppPasswordDialog({ account, onClose }: { account: AccountTerms; onClose: () => void }) {
  const { t, format } = useText()
  const reread = useReread()
  const [made, setMade] = useState<IssuedAppPassword>()
  const form = useForm({ name: '', protocols: [] as string[], days: '' }, async ({ name, protocols, days }) => {
    const body = {
      name,
      protocols: protocols.length > 0 ? protocols : undefined,
      expires: days ? new Date(Date.now() + Number(days) * day).toISOString() : undefined,
    }
    setMade(await api.change<IssuedAppPassword>('POST', `/accounts/${account.id}/app-passwords`, { body }))
    await reread('accounts')
  })
  if (made)
    return (
      <ShownOnce
        title={t('account.madeApp', { name: made.name })}
        note={t('account.madeAppText', { address: account.address })}
        label={t('accounts.password')}
        secret={made.secret}
        onClose={onClose}
      />
    )
  return (
    <Dialog title={t('account.addApp')} onClose={onClose}>
      <Form form={form} submit={t('action.add')} onCancel={onClose}>
        <TextInput
          label={t('account.app')}
          description={t('account.appHint')}
          autoComplete="off"
          maxLength={100}
          required
          {...form.text('name')}
        />
        <Switch.Group
          label={t('account.goodFor')}
          description={t('account.goodForHint')}
          value={form.values.protocols}
          onChange={(v) => form.set('protocols', v)}
          error={form.complaint('protocols')}
        >
          <div className="form-checks">
            {protocols.map((p) => (
              <Switch key={p} value={p} label={t(`feature.${p}`)} />
            ))}
          </div>
        </Switch.Group>
        <NativeSelect
          label={t('tokens.life')}
          data={[
            { value: '', label: t('account.forever') },
            ...[30, 90, 365].map((d) => ({ value: String(d), label: format.duration(d * 86_400) })),
          ]}
          {...form.text('days')}
        />
      </Form>
    </Dialog>
  )
}
