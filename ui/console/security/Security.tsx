import { Button, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api } from '../api/client'
import { useSession } from '../api/queries'
import type { Session } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { Glyph } from '../parts/Glyph'
import { Screen, Section } from '../parts/Screen'
import { useTell } from '../parts/Toasts'
import { ScopeText } from '../people/Scope'
import { endEach, SessionTable } from '../sessions/SessionTable'
import { useText } from '../text/language'
import { PasswordForm } from './PasswordForm'
import { TOTPSetup } from './TOTPSetup'
import './security.css'

/** What concerns only oneself: password, second factor, sessions. */
export default function Security() {
  const { t } = useText()
  const session = useSession().data
  if (!session) return null
  return (
    <Screen title={t('nav.security')}>
      <dl className="facts security-facts">
        <div>
          <dt>{t('signin.user')}</dt>
          <dd>{session.user}</dd>
        </div>
        <div>
          <dt>{t('security.role')}</dt>
          <dd>{t(`role.${session.role}`)}</dd>
        </div>
        <div>
          <dt>{t('security.scope')}</dt>
          <dd>
            <ScopeText scope={session.scope} />
          </dd>
        </div>
      </dl>
      <div className="security">
        <section className="panel">
          <h2>{t('security.password')}</h2>
          <PasswordForm />
        </section>
        <SecondFactor session={session} />
      </div>
      <Section title={t('security.sessions')}>
        <SessionTable
          filter={{ kind: 'console' }}
          who={session.user}
          one
          label={t('security.sessions')}
          onEndAll={endEach}
        />
      </Section>
    </Screen>
  )
}

function SecondFactor({ session }: { session: Session }) {
  const { t } = useText()
  const client = useQueryClient()
  const [setting, setSetting] = useState(false)
  const [removing, setRemoving] = useState(false)
  const reread = () => client.invalidateQueries({ queryKey: ['session'] })
  const done = () => {
    setSetting(false)
    void reread()
  }
  return (
    <section className="panel">
      <header className="panel-head">
        <h2>{t('security.totp')}</h2>
        <span className="state" data-tone={session.totp ? 'good' : 'idle'}>
          <Glyph name={session.totp ? 'up' : 'removed'} size={14} />
          {t(session.totp ? 'security.totpOn' : 'security.totpOff')}
        </span>
      </header>
      <p className="dim">{t('security.totpText')}</p>
      <div className="form-buttons">
        {session.totp ? (
          <Button variant="default" onClick={() => setRemoving(true)}>
            {t('security.remove')}
          </Button>
        ) : (
          <Button onClick={() => setSetting(true)}>{t('security.setUp')}</Button>
        )}
      </div>
      {setting && (
        <Dialog title={t('security.setUp')} onClose={done}>
          <TOTPSetup onDone={done} />
        </Dialog>
      )}
      {removing && <Remove onClose={() => setRemoving(false)} onDone={reread} />}
    </section>
  )
}

function Remove({ onClose, onDone }: { onClose: () => void; onDone: () => Promise<void> }) {
  const { t } = useText()
  const tell = useTell()
  const form = useForm({ code: '' }, async (body) => {
    await api.change('DELETE', '/session/totp', { body })
    tell.done(t('security.removed'))
    await onDone()
    onClose()
  })
  return (
    <Dialog title={t('security.remove')} onClose={onClose}>
      <Form form={form} submit={t('security.remove')} danger onCancel={onClose}>
        <p>{t('security.removeText')}</p>
        <TextInput
          label={t('signin.code')}
          autoComplete="one-time-code"
          required
          maxLength={40}
          {...form.text('code')}
        />
      </Form>
    </Dialog>
  )
}
