import { NativeSelect, TextInput } from '@mantine/core'
import { useState } from 'react'
import { api } from '../api/client'
import { usePolicy, useReread, useSession } from '../api/queries'
import type { IssuedToken, Role } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { ShownOnce } from '../parts/Secret'
import { grantable, part, placesOf, scopeOf } from '../people/grant'
import { ScopeField } from '../people/Scope'
import { seconds } from '../text/format'
import { useText } from '../text/language'

const day = 86_400
const lives = [1, 7, 30, 90, 180, 365].map((days) => days * day)

/** Makes a token and shows it this once. */
export function TokenDialog({ onClose }: { onClose: () => void }) {
  const { t, format } = useText()
  const reread = useReread()
  const session = useSession().data
  const most = seconds(usePolicy().data?.token_life ?? 0)
  const [made, setMade] = useState<IssuedToken>()
  const given = session ? grantable(session) : []
  const fresh = (role: Role) => [part((session && placesOf(role, session)[0]) ?? 'domain')]
  const first = given.find((r) => r === 'viewer') ?? given.at(-1) ?? 'user'
  const initial = { name: '', role: first, scope: fresh(first), scopes: '', expires: String(90 * day) }
  const form = useForm(initial, async ({ name, role, scope, scopes }) => {
    const narrowed = scopes.split(/[\s,，、]+/).filter(Boolean)
    const body = {
      name,
      role,
      scope: scopeOf(scope),
      scopes: narrowed.length > 0 ? narrowed : undefined,
      expires: `${chosen}s`,
    }
    setMade(await api.change<IssuedToken>('POST', '/tokens', { body }))
    await reread('tokens')
  })
  const choices = most > 0 ? [...lives.filter((s) => s < most), most] : lives
  const chosen = choices.includes(Number(form.values.expires)) ? form.values.expires : String(choices.at(-1))

  if (made)
    return (
      <ShownOnce
        title={t('tokens.made', { name: made.name })}
        note={t('tokens.madeText')}
        label={t('tokens.one')}
        secret={made.token}
        onClose={onClose}
      />
    )
  return (
    <Dialog title={t('tokens.add')} onClose={onClose}>
      <Form form={form} submit={t('action.add')} onCancel={onClose}>
        <TextInput
          label={t('tokens.name')}
          description={t('tokens.nameHint')}
          autoComplete="off"
          maxLength={100}
          required
          {...form.text('name')}
        />
        <NativeSelect
          label={t('security.role')}
          description={t(`roleText.${form.values.role}`)}
          data={given.map((value) => ({ value, label: t(`role.${value}`) }))}
          value={form.values.role}
          error={form.complaint('role')}
          onChange={(e) => {
            const role = e.currentTarget.value as Role
            form.set('role', role)
            form.set('scope', fresh(role))
          }}
        />
        <ScopeField
          role={form.values.role}
          parts={form.values.scope}
          onChange={(scope) => form.set('scope', scope)}
          complaint={form.complaint('scope')}
        />
        <TextInput
          label={t('tokens.scopes')}
          description={t('tokens.scopesHint')}
          placeholder="*"
          spellCheck={false}
          autoCapitalize="none"
          autoComplete="off"
          {...form.text('scopes')}
        />
        <NativeSelect
          label={t('tokens.life')}
          data={choices.map((s) => ({ value: String(s), label: format.duration(s) }))}
          {...form.text('expires')}
          value={chosen}
        />
      </Form>
    </Dialog>
  )
}
