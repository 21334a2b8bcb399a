import { Button, NativeSelect, TextInput } from '@mantine/core'
import { useState } from 'react'
import { api, ifMatch } from '../api/client'
import { useList, useReread } from '../api/queries'
import type { Contact } from '../api/types'
import { useMay } from '../app/rights'
import { Act, Delete } from '../parts/Acts'
import { type Column, DataTable } from '../parts/DataTable'
import { Dialog } from '../parts/Dialog'
import { Empty } from '../parts/Feedback'
import { Form, useForm } from '../parts/Form'
import { Glyph } from '../parts/Glyph'
import { Screen } from '../parts/Screen'
import { useText } from '../text/language'

/** Who is told of alerts, and on which phone. */
export default function Contacts() {
  const { t } = useText()
  const list = useList<Contact>('contacts')
  const mayChange = useMay('contacts', 'write')
  const [editing, setEditing] = useState<Contact | 'new'>()
  const [deleting, setDeleting] = useState<Contact>()
  const add = mayChange && (
    <Button leftSection={<Glyph name="plus" />} onClick={() => setEditing('new')}>
      {t('contacts.add')}
    </Button>
  )
  const columns: Column<Contact>[] = [
    { head: t('contacts.name'), wide: true, cell: (c) => <b>{c.name}</b> },
    { head: t('contacts.phone'), cell: (c) => <span className="figures">{c.phone}</span> },
    { head: t('contacts.language'), cell: (c) => t(c.language === 'en' ? 'language.en' : 'language.zh') },
    {
      head: t('action.actions'),
      quiet: true,
      cell: (c) =>
        mayChange && (
          <div className="acts">
            <Act label={t('action.edit')} of={c.name} onClick={() => setEditing(c)} />
            <Act label={t('action.delete')} of={c.name} onClick={() => setDeleting(c)} />
          </div>
        ),
    },
  ]
  return (
    <Screen title={t('nav.contacts')} aside={add}>
      <DataTable
        label={t('nav.contacts')}
        columns={columns}
        list={list}
        empty={
          <Empty title={t('contacts.none')}>
            <p>{t('contacts.noneText')}</p>
            {add}
          </Empty>
        }
      />
      {editing && (
        <ContactDialog contact={editing === 'new' ? undefined : editing} onClose={() => setEditing(undefined)} />
      )}
      {deleting && (
        <Delete
          noun="contacts"
          thing={deleting}
          title={t('contacts.deleteTitle', { name: deleting.name })}
          onClose={() => setDeleting(undefined)}
        >
          <p>{t('contacts.deleteText')}</p>
        </Delete>
      )}
    </Screen>
  )
}

function ContactDialog({ contact, onClose }: { contact?: Contact; onClose: () => void }) {
  const { t, language } = useText()
  const reread = useReread()
  const initial = { name: contact?.name ?? '', phone: contact?.phone ?? '', language: contact?.language ?? language }
  const form = useForm(initial, async (body) => {
    if (contact) await api.change('PUT', `/contacts/${contact.id}`, { body, headers: ifMatch(contact) })
    else await api.change('POST', '/contacts', { body })
    await reread('contacts')
    onClose()
  })
  return (
    <Dialog title={t(contact ? 'contacts.edit' : 'contacts.add')} onClose={onClose}>
      <Form form={form} submit={t('action.save')} onCancel={onClose}>
        <TextInput label={t('contacts.name')} required maxLength={100} {...form.text('name')} />
        <TextInput
          label={t('contacts.phone')}
          description={t('contacts.phoneHint')}
          type="tel"
          required
          {...form.text('phone')}
        />
        <NativeSelect
          label={t('contacts.language')}
          data={[
            { value: 'zh', label: t('language.zh') },
            { value: 'en', label: t('language.en') },
          ]}
          {...form.text('language')}
        />
      </Form>
    </Dialog>
  )
}
