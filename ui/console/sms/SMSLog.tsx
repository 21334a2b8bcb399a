import { Button, InputBase, TextInput } from '@mantine/core'
import { useState } from 'react'
import { api } from '../api/client'
import { useList, useReread } from '../api/queries'
import type { SMS } from '../api/types'
import { useMay } from '../app/rights'
import { useFreshness } from '../live/Live'
import { type Column, DataTable } from '../parts/DataTable'
import { Dialog } from '../parts/Dialog'
import { Empty } from '../parts/Feedback'
import { Form, useForm } from '../parts/Form'
import { Screen } from '../parts/Screen'
import { State } from '../parts/State'
import { Ago } from '../parts/Time'
import { useText } from '../text/language'

/** Every text message that was to be sent, and how far it came. */
export default function SMSLog() {
  const { t, say } = useText()
  const list = useList<SMS>('sms')
  const mayChange = useMay('sms', 'write')
  const stale = useFreshness() === 'lost'
  const [writing, setWriting] = useState(false)
  const columns: Column<SMS>[] = [
    {
      head: t('sms.state'),
      cell: (s) => (
        <>
          <State of="sms" state={s.state} stale={stale} />
          {s.error && <small className="sms-error"> {say(s.error, s.said)}</small>}
        </>
      ),
    },
    { head: t('sms.to'), cell: (s) => <span className="figures">{s.to}</span> },
    {
      head: t('sms.text'),
      wide: true,
      cell: (s) => (
        <span className="sms-text" data-alert={s.alert}>
          {s.text}
        </span>
      ),
    },
    {
      head: t('sms.parts'),
      number: true,
      cell: (s) => (
        <span className="figures">{t('sms.partsOf', { count: s.parts, encoding: s.encoding.toUpperCase() })}</span>
      ),
    },
    { head: t('sms.gateway'), cell: (s) => s.gateway || <span className="dim">—</span> },
    { head: t('sms.attempts'), number: true, cell: (s) => <span className="figures">{s.attempts}</span> },
    { head: t('sms.created'), cell: (s) => <Ago at={s.created} /> },
  ]
  const send = mayChange && (
    <Button variant="default" onClick={() => setWriting(true)}>
      {t('sms.send')}
    </Button>
  )
  return (
    <Screen title={t('nav.sms')} aside={send}>
      <DataTable
        label={t('nav.sms')}
        columns={columns}
        list={list}
        empty={
          <Empty title={t('sms.none')}>
            <p>{t('sms.noneText')}</p>
          </Empty>
        }
      />
      {writing && <SendDialog onClose={() => setWriting(false)} />}
    </Screen>
  )
}

function SendDialog({ onClose }: { onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const form = useForm({ to: '', text: t('sms.sample') }, async (body) => {
    await api.change('POST', '/sms', { body })
    await reread('sms')
    onClose()
  })
  return (
    <Dialog title={t('sms.send')} onClose={onClose}>
      <Form form={form} submit={t('sms.submit')} onCancel={onClose}>
        <TextInput label={t('sms.to')} type="tel" required {...form.text('to')} />
        <InputBase
          component="textarea"
          label={t('sms.text')}
          rows={4}
          multiline
          maxLength={670}
          required
          {...form.text('text')}
        />
      </Form>
    </Dialog>
  )
}
