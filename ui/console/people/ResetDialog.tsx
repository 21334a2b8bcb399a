import { useState } from 'react'
import { api, ifMatch } from '../api/client'
import { useReread } from '../api/queries'
import type { Person } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { ShownOnce } from '../parts/Secret'
import { useText } from '../text/language'

/** 100 random bits that can be read out and typed, in groups of five. */
function randomPassword(): string {
  const letters = 'abcdefghijklmnopqrstuvwxyz234567'
  const picked = [...crypto.getRandomValues(new Uint8Array(20))].map((n) => letters[n % 32]).join('')
  return picked.replace(/(.{5})(?=.)/g, '$1-')
}

/** Gives a person a new password that they change when they sign in, and ends their sessions. */
export function ResetDialog({ person, onClose }: { person: Person; onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const [password] = useState(randomPassword)
  const [done, setDone] = useState(false)
  const form = useForm({}, async () => {
    await api.change('PATCH', `/people/${person.id}`, { body: { password }, headers: ifMatch(person) })
    setDone(true)
    await Promise.all([reread('people'), reread('sessions')])
  })
  const title = t('people.resetTitle', { name: person.name })
  if (done)
    return (
      <ShownOnce
        title={title}
        note={t('people.madeText')}
        label={t('people.firstPassword')}
        secret={password}
        onClose={onClose}
      />
    )
  return (
    <Dialog title={title} onClose={onClose}>
      <Form form={form} submit={t('people.reset')} danger onCancel={onClose}>
        <p>{t('people.resetText')}</p>
      </Form>
    </Dialog>
  )
}
