import { NativeSelect, PasswordInput, TextInput } from '@mantine/core'
import { useState } from 'react'
import { api, ifMatch } from '../api/client'
import { usePolicy, useReread, useSession } from '../api/queries'
import type { NewPersonMade, Person, Role } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { ShownOnce } from '../parts/Secret'
import { useText } from '../text/language'
import { grantable, part, partsOf, placesOf, scopeOf } from './grant'
import { ScopeField } from './Scope'

/** Lets somebody sign in, or changes what they may do. */
export function PersonDialog({ person, onClose }: { person?: Person; onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const session = useSession().data
  const least = usePolicy().data?.password_length ?? 12
  const [made, setMade] = useState<NewPersonMade>()
  const given = session ? grantable(session) : []
  const first = person?.role ?? given.at(0) ?? 'user'
  const fresh = (role: Role) => [part((session && placesOf(role, session)[0]) ?? 'domain')]
  const initial = {
    name: person?.name ?? '',
    role: first,
    scope: person ? partsOf(person.scope) : fresh(first),
    email: person?.email ?? '',
    password: '',
  }
  const form = useForm(initial, async ({ name, role, scope, email, password }) => {
    if (person) {
      const moved = role !== person.role || scopeOf(scope).join() !== scopeOf(partsOf(person.scope)).join()
      const body = {
        email: email === (person.email ?? '') ? undefined : email,
        ...(moved && { role, scope: scopeOf(scope) }),
      }
      await api.change('PATCH', `/people/${person.id}`, { body, headers: ifMatch(person) })
    } else {
      const body = { name, role, scope: scopeOf(scope), email: email || undefined, password: password || undefined }
      const answer = await api.change<NewPersonMade>('POST', '/people', { body })
      if (answer.password) setMade(answer)
    }
    await reread('people')
    if (person || password) onClose()
  })
  if (made)
    return (
      <ShownOnce
        title={t('people.made', { name: made.name })}
        note={t('people.madeText')}
        label={t('people.firstPassword')}
        secret={made.password ?? ''}
        onClose={onClose}
      />
    )
  return (
    <Dialog title={t(person ? 'people.edit' : 'people.add')} onClose={onClose}>
      <Form form={form} submit={t(person ? 'action.save' : 'action.add')} onCancel={onClose}>
        {!person && (
          <TextInput
            label={t('people.name')}
            description={t('people.nameHint')}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            maxLength={100}
            required
            {...form.text('name')}
          />
        )}
        <NativeSelect
          label={t('security.role')}
          description={t(`roleText.${form.values.role}`)}
          data={(given.includes(first) ? given : [first, ...given]).map((value) => ({
            value,
            label: t(`role.${value}`),
          }))}
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
          label={t('people.email')}
          description={t('people.emailHint')}
          type="email"
          autoComplete="off"
          spellCheck={false}
          {...form.text('email')}
        />
        {!person && (
          <PasswordInput
            label={t('people.firstPassword')}
            description={t('people.passwordHint', { least })}
            autoComplete="new-password"
            {...form.text('password')}
          />
        )}
        {person && <p className="dim">{t('people.editText')}</p>}
      </Form>
    </Dialog>
  )
}
