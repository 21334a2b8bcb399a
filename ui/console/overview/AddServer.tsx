import { Button, CopyButton, TextInput } from '@mantine/core'
import { useState } from 'react'
import { api } from '../api/client'
import { useReread } from '../api/queries'
import type { Enrolment } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { Until } from '../parts/Time'
import { useText } from '../text/language'

/** Adds a server to the fleet and shows, this once, the line to run on it. */
export function AddServer({ onClose }: { onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const [enrolment, setEnrolment] = useState<Enrolment>()
  const form = useForm({ name: '', address: '', region: '' }, async (body) => {
    setEnrolment(await api.change<Enrolment>('POST', '/servers', { body }))
    void reread('servers')
  })
  return (
    <Dialog title={t('add.title')} onClose={onClose}>
      {enrolment ? (
        <Invitation enrolment={enrolment} onClose={onClose} />
      ) : (
        <Form form={form} submit={t('add.submit')} onCancel={onClose}>
          <TextInput
            label={t('add.name')}
            description={t('add.nameHint')}
            spellCheck={false}
            required
            {...form.text('name')}
          />
          <TextInput
            label={t('add.address')}
            description={t('add.addressHint')}
            inputMode="url"
            required
            {...form.text('address')}
          />
          <TextInput label={t('add.region')} description={t('add.regionHint')} {...form.text('region')} />
        </Form>
      )}
    </Dialog>
  )
}

/** The line that lets a server's agent join. */
export function Invitation({ enrolment, onClose }: { enrolment: Enrolment; onClose: () => void }) {
  const { t } = useText()
  return (
    <div className="form">
      <p>{t('add.run', { name: enrolment.server.name })}</p>
      <pre className="command">{enrolment.command}</pre>
      <p className="dim">
        {t('add.once')} <Until at={enrolment.expires} />
      </p>
      <div className="form-buttons">
        <CopyButton value={enrolment.command}>
          {({ copied, copy }) => (
            <Button variant="default" onClick={copy}>
              {copied ? t('action.copied') : t('action.copy')}
            </Button>
          )}
        </CopyButton>
        <Button onClick={onClose}>{t('action.done')}</Button>
      </div>
    </div>
  )
}
