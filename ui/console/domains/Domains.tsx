import { Button, TextInput } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { api } from '../api/client'
import { useList, useReread } from '../api/queries'
import type { Domain } from '../api/types'
import { useMay } from '../app/rights'
import { Act, Delete } from '../parts/Acts'
import { type Column, DataTable } from '../parts/DataTable'
import { Dialog } from '../parts/Dialog'
import { Empty } from '../parts/Feedback'
import { Form, useForm } from '../parts/Form'
import { Glyph } from '../parts/Glyph'
import { Screen } from '../parts/Screen'
import { Ago } from '../parts/Time'
import { useText } from '../text/language'

/** The mail domains the fleet serves. */
export default function Domains() {
  const { t } = useText()
  const list = useList<Domain>('domains')
  const mayChange = useMay('domains', 'write')
  const [adding, setAdding] = useState(false)
  const [deleting, setDeleting] = useState<Domain>()
  const columns: Column<Domain>[] = [
    {
      head: t('domains.name'),
      wide: true,
      cell: (d) => (
        <Link to="/accounts" search={{ domain: d.name }} className="row-link">
          {d.name}
        </Link>
      ),
    },
    { head: t('domains.postmaster'), cell: (d) => d.postmaster || <span className="dim">—</span> },
    { head: t('domains.created'), cell: (d) => <Ago at={d.created} /> },
    {
      head: t('action.actions'),
      quiet: true,
      cell: (d) =>
        mayChange && (
          <div className="acts">
            <Act label={t('action.delete')} of={d.name} onClick={() => setDeleting(d)} />
          </div>
        ),
    },
  ]
  const add = mayChange && (
    <Button leftSection={<Glyph name="plus" />} onClick={() => setAdding(true)}>
      {t('domains.add')}
    </Button>
  )
  return (
    <Screen title={t('nav.domains')} aside={add}>
      <DataTable
        label={t('nav.domains')}
        columns={columns}
        list={list}
        empty={<Empty title={t('domains.none')}>{add}</Empty>}
      />
      {adding && <AddDomain onClose={() => setAdding(false)} />}
      {deleting && (
        <Delete
          noun="domains"
          thing={deleting}
          title={t('domains.deleteTitle', { name: deleting.name })}
          onClose={() => setDeleting(undefined)}
        >
          <p>{t('domains.deleteText')}</p>
        </Delete>
      )}
    </Screen>
  )
}

function AddDomain({ onClose }: { onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const form = useForm({ name: '' }, async (body) => {
    await api.change('POST', '/domains', { body })
    await reread('domains')
    onClose()
  })
  return (
    <Dialog title={t('domains.add')} onClose={onClose}>
      <Form form={form} submit={t('action.add')} onCancel={onClose}>
        <TextInput label={t('domains.name')} spellCheck={false} inputMode="url" required {...form.text('name')} />
      </Form>
    </Dialog>
  )
}
