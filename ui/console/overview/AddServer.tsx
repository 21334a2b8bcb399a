import { TextInput } from '@mantine/core'
import { useState } from 'react'
import { api } from '../api/client'
import { useReread, useServers } from '../api/queries'
import type { Enrolment } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { useText } from '../text/language'
import { Invitation } from './Invitation'

/** Adds a server to the fleet: what it is called, the line to run on it, and waiting until it is there. */
export default function AddServer({ onClose }: { onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const regions = [...new Set(useServers().data?.map((s) => s.region))].filter(Boolean).sort()
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
          <TextInput
            label={t('add.region')}
            description={t('add.regionHint')}
            list="regions"
            autoComplete="off"
            {...form.text('region')}
          />
          <datalist id="regions">
            {regions.map((r) => (
              <option key={r} value={r} />
            ))}
          </datalist>
        </Form>
      )}
    </Dialog>
  )
}
