import { Button, PasswordInput, TextInput } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useLocation } from '@tanstack/react-router'
import { useEffect, useRef, useState } from 'react'
import { api } from '../api/client'
import type { Providers, Session } from '../api/types'
import { Form, useForm } from '../parts/Form'
import { useText } from '../text/language'
import { Door } from './Door'
import { refusal, wantsCode } from './refusal'

/** The door. The address stays what it was, so that one lands where one wanted to go. */
export default function SignIn({ ended }: { ended?: boolean }) {
  const text = useText()
  const { t } = text
  const client = useQueryClient()
  const [asked, setAsked] = useState(false) // for the code of a second factor
  const form = useForm({ user: '', password: '', code: '' }, async ({ code, ...who }) => {
    try {
      const session = await api.change<Session>('POST', '/session', { body: asked ? { ...who, code } : who })
      api.csrf = session.csrf
      // Somebody else may have been here before, and seen what this person may not.
      const other = (noun: unknown) => noun !== 'session' && noun !== 'status'
      client.removeQueries({ predicate: (q) => other(q.queryKey[0]) })
      await client.resetQueries({ queryKey: ['status'] })
      client.setQueryData(['session'], session)
    } catch (e) {
      if (!asked && wantsCode(e)) return setAsked(true)
      form.set('code', '')
      throw refusal(e, text)
    }
  })

  return (
    <Door title={t('signin.title')} text={t(asked ? 'signin.codeText' : 'signin.text')}>
      {ended && !asked && form.error === undefined && (
        <div className="notice" role="status">
          {t('signin.ended')}
        </div>
      )}
      <ProviderRefusal />
      <Form form={form} submit={t('signin.submit')} onCancel={asked ? () => setAsked(false) : undefined}>
        {asked ? <Code {...form.text('code')} /> : <Who text={form.text} />}
      </Form>
      {!asked && <Provider />}
    </Door>
  )
}

type Given = { user: string; password: string; code: string }
type Field = ReturnType<ReturnType<typeof useForm<Given>>['text']>

function Who({ text }: { text: (name: keyof Given) => Field }) {
  const { t } = useText()
  return (
    <>
      <TextInput
        label={t('signin.user')}
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        required
        withAsterisk={false}
        data-autofocus
        {...text('user')}
      />
      <PasswordInput
        label={t('signin.password')}
        autoComplete="current-password"
        required
        withAsterisk={false}
        {...text('password')}
      />
    </>
  )
}

function Code(field: Field) {
  const { t } = useText()
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => input.current?.focus(), [])
  return (
    <TextInput
      ref={input}
      label={t('signin.code')}
      autoComplete="one-time-code"
      autoCapitalize="none"
      spellCheck={false}
      maxLength={40}
      required
      withAsterisk={false}
      {...field}
    />
  )
}

/** What the sign-in through an OpenID provider came to, where the browser was sent back without a session. */
function ProviderRefusal() {
  const { t } = useText()
  const code = new URLSearchParams(useLocation({ select: (l) => l.searchStr })).get('refused')
  if (!code) return null
  const known = {
    unauthorized: 'signin.providerRefused',
    unavailable: 'signin.providerAway',
    too_many: 'signin.providerOften',
  } as const
  return (
    <div className="notice" role="alert">
      {t(known[code as keyof typeof known] ?? 'signin.providerFailed')}
    </div>
  )
}

/** The way in through an OpenID provider, where there is one. */
function Provider() {
  const { t } = useText()
  const name = useQuery({
    queryKey: ['oidc'],
    queryFn: ({ signal }) => api.get<Providers>('/oidc', { signal }),
    staleTime: Number.POSITIVE_INFINITY,
  }).data?.oidc
  if (!name) return null
  return (
    <div className="signin-provider">
      <p className="signin-or">{t('signin.or')}</p>
      <Button component="a" href="/api/v1/oidc/start" variant="default" fullWidth>
        {t('signin.provider', { name })}
      </Button>
    </div>
  )
}
