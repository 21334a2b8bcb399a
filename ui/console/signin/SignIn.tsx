import { PasswordInput, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { api, ProblemError } from '../api/client'
import type { Session } from '../api/types'
import { LanguageSwitch, SchemeSwitch } from '../app/Person'
import { Form, useForm } from '../parts/Form'
import { Logo } from '../parts/Glyph'
import { useText } from '../text/language'
import './signin.css'

/** The door. The address stays what it was, so that one lands where one wanted to go. */
export default function SignIn() {
  const { t } = useText()
  const client = useQueryClient()
  const form = useForm({ user: '', password: '' }, async (body) => {
    try {
      const session = await api.change<Session>('POST', '/session', { body })
      api.csrf = session.csrf
      await client.resetQueries({ queryKey: ['status'] })
      void client.invalidateQueries({ predicate: (q) => q.queryKey[0] !== 'session' && q.queryKey[0] !== 'status' })
      client.setQueryData(['session'], session)
    } catch (e) {
      if (e instanceof ProblemError && e.status === 401) throw new Error(t('signin.wrong'))
      throw e
    }
  })
  useEffect(() => {
    document.title = `${t('signin.title')} · Mailfleet`
  }, [t])

  return (
    <main className="signin">
      <div className="signin-card">
        <h1>
          <Logo />
          Mailfleet
        </h1>
        <p className="dim">{t('signin.text')}</p>
        <Form form={form} submit={t('signin.submit')}>
          <TextInput
            label={t('signin.user')}
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            required
            withAsterisk={false}
            data-autofocus
            {...form.text('user')}
          />
          <PasswordInput
            label={t('signin.password')}
            autoComplete="current-password"
            required
            withAsterisk={false}
            {...form.text('password')}
          />
        </Form>
        <div className="signin-foot">
          <LanguageSwitch />
          <SchemeSwitch />
        </div>
      </div>
    </main>
  )
}
