import { Button, NativeSelect } from '@mantine/core'
import { useState } from 'react'
import { api, ifMatch } from '../api/client'
import { useList, useReread } from '../api/queries'
import type { DKIMKey, NewDKIMKey } from '../api/types'
import { useMay } from '../app/rights'
import { Act, Delete } from '../parts/Acts'
import { Confirm } from '../parts/Confirm'
import { type Column, DataTable } from '../parts/DataTable'
import { Dialog } from '../parts/Dialog'
import { Empty } from '../parts/Feedback'
import { Form, useForm } from '../parts/Form'
import { Glyph } from '../parts/Glyph'
import { Section } from '../parts/Screen'
import { State } from '../parts/State'
import { Ago } from '../parts/Time'
import { useText } from '../text/language'

type To = 'active' | 'retired'

/** The keys that sign the domain's mail, those to come and those that were. */
export function Keys({ domain }: { domain: string }) {
  const { t } = useText()
  const list = useList<DKIMKey>('dkim-keys', { domain })
  const mayWrite = useMay('dkim-keys', 'write')
  const [rotating, setRotating] = useState(false)
  const [turning, setTurning] = useState<{ dkim: DKIMKey; to: To }>()
  const [deleting, setDeleting] = useState<DKIMKey>()
  const columns: Column<DKIMKey>[] = [
    { head: t('keys.selector'), cell: (k) => <code>{k.selector}</code> },
    {
      head: t('keys.algorithm'),
      cell: (k) => t(`keys.kind.${k.algorithm}` as 'keys.title', { defaultValue: k.algorithm }),
    },
    { head: t('keys.state'), cell: (k) => <State of="key" state={k.state as 'next'} /> },
    { head: t('keys.since'), wide: true, cell: (k) => <Ago at={k.since} /> },
    {
      head: t('action.actions'),
      quiet: true,
      cell: (k) =>
        mayWrite && (
          <div className="acts">
            {k.state !== 'active' && (
              <Act label={t('keys.activate')} of={k.selector} onClick={() => setTurning({ dkim: k, to: 'active' })} />
            )}
            {k.state === 'active' && (
              <Act label={t('keys.retire')} of={k.selector} onClick={() => setTurning({ dkim: k, to: 'retired' })} />
            )}
            {k.state !== 'active' && <Act label={t('action.delete')} of={k.selector} onClick={() => setDeleting(k)} />}
          </div>
        ),
    },
  ]
  const rotate = mayWrite && (
    <Button
      size="xs"
      variant="default"
      leftSection={<Glyph name="moving" size={14} />}
      onClick={() => setRotating(true)}
    >
      {t('keys.rotate')}
    </Button>
  )
  return (
    <Section title={t('keys.title')} aside={rotate}>
      <DataTable
        label={t('keys.title')}
        columns={columns}
        list={list}
        empty={
          <Empty title={t('keys.none')}>
            <p>{t('keys.noneText')}</p>
          </Empty>
        }
      />
      {rotating && <Rotate domain={domain} onClose={() => setRotating(false)} />}
      {turning && <Turn {...turning} onClose={() => setTurning(undefined)} />}
      {deleting && (
        <Delete
          noun="dkim-keys"
          thing={deleting}
          title={t('keys.deleteTitle', { selector: deleting.selector })}
          onClose={() => setDeleting(undefined)}
        >
          <p>{t('keys.deleteText')}</p>
        </Delete>
      )}
    </Section>
  )
}

/** Makes the key that is to take over; its record is published before it signs. */
function Rotate({ domain, onClose }: { domain: string; onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const initial: { algorithm: NewDKIMKey['algorithm'] } = { algorithm: 'rsa-sha256' }
  const form = useForm(initial, async ({ algorithm }) => {
    await api.change('POST', '/dkim-keys', { body: { domain, algorithm } })
    await Promise.all([reread('dkim-keys'), reread('domains')])
    onClose()
  })
  return (
    <Dialog title={t('keys.rotate')} onClose={onClose}>
      <Form form={form} submit={t('keys.make')} onCancel={onClose}>
        <p>{t('keys.rotateText')}</p>
        <NativeSelect
          label={t('keys.algorithm')}
          data={(['rsa-sha256', 'ed25519-sha256'] as const).map((value) => ({
            value,
            label: t(`keys.kind.${value}`),
          }))}
          {...form.text('algorithm')}
        />
      </Form>
    </Dialog>
  )
}

/** Lets a key sign, or sign no more. */
function Turn({ dkim, to, onClose }: { dkim: DKIMKey; to: To; onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  return (
    <Confirm
      title={t(`keys.${to}Title`, { selector: dkim.selector })}
      action={t(to === 'active' ? 'keys.activate' : 'keys.retire')}
      danger={to === 'retired'}
      onConfirm={async () => {
        await api.change('PATCH', `/dkim-keys/${dkim.id}`, { body: { state: to }, headers: ifMatch(dkim) })
        await Promise.all([reread('dkim-keys'), reread('domains')])
      }}
      onClose={onClose}
    >
      <p>{t(`keys.${to}Text`)}</p>
    </Confirm>
  )
}
