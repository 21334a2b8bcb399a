import { Button, TextInput } from '@mantine/core'
import { useState } from 'react'
import { api } from '../api/client'
import type { NewTOTP, RecoveryCodes } from '../api/types'
import { Form, useForm } from '../parts/Form'
import { Secret } from '../parts/Secret'
import { useText } from '../text/language'
import { QRCode } from './QRCode'
import './security.css'

/** Gives one a second factor: begin, scan, confirm with a code, keep the recovery codes. */
export function TOTPSetup({ onDone }: { onDone: () => void }) {
  const { t } = useText()
  const [made, setMade] = useState<NewTOTP>()
  const [recovery, setRecovery] = useState<string[]>()
  const begin = useForm({}, async () => setMade(await api.change<NewTOTP>('POST', '/session/totp')))
  if (recovery) return <Recovery codes={recovery} onDone={onDone} />
  if (made) return <Confirm made={made} onConfirmed={setRecovery} />
  return <Form form={begin} submit={t('security.setUp')} />
}

function Confirm({ made, onConfirmed }: { made: NewTOTP; onConfirmed: (codes: string[]) => void }) {
  const { t } = useText()
  const form = useForm({ code: '' }, async (body) => {
    const { recovery } = await api.change<RecoveryCodes>('PUT', '/session/totp', { body })
    onConfirmed(recovery)
  })
  return (
    <Form form={form} submit={t('security.confirm')}>
      <p>{t('security.scan')}</p>
      <div className="totp">
        <QRCode text={made.url} label={t('security.qr')} />
        <Secret label={t('security.key')} text={made.secret.replace(/(.{4})(?=.)/g, '$1 ')} />
      </div>
      <TextInput
        label={t('security.code')}
        inputMode="numeric"
        autoComplete="one-time-code"
        maxLength={40}
        required
        withAsterisk={false}
        {...form.text('code')}
      />
    </Form>
  )
}

function Recovery({ codes, onDone }: { codes: string[]; onDone: () => void }) {
  const { t } = useText()
  return (
    <div className="form">
      <div className="recovery">
        <Secret label={t('security.recovery')} text={codes.join('\n')} />
      </div>
      <p>{t('security.recoveryText')}</p>
      <div className="form-buttons">
        <Button onClick={onDone}>{t('security.kept')}</Button>
      </div>
    </div>
  )
}
