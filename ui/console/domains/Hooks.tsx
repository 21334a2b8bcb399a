import { Button, Switch, TextInput } from '@mantine/core'
import { useState } from 'react'
import { api } from '../api/client'
import { useReread } from '../api/queries'
import type { Domain, Hook, IssuedHook } from '../api/types'
import { useMay } from '../app/rights'
import { Act } from '../parts/Acts'
import { Confirm } from '../parts/Confirm'
import { type Column, Rows } from '../parts/DataTable'
import { Dialog } from '../parts/Dialog'
import { Empty } from '../parts/Feedback'
import { Form, useForm } from '../parts/Form'
import { Glyph } from '../parts/Glyph'
import { Section } from '../parts/Screen'
import { ShownOnce } from '../parts/Secret'
import { useText } from '../text/language'
import { pathOf } from './data'

const events = ['received', 'delivered', 'deferred', 'bounced'] as const

/** Who is told by HTTP of what becomes of the domain's mail. */
export function Hooks({ domain }: { domain: Domain }) {
  const { t } = useText()
  const reread = useReread()
  const mayChange = useMay('domains', 'change')
  const [adding, setAdding] = useState(false)
  const [removing, setRemoving] = useState<Hook>()
  const list = domain.mail?.hooks ?? []
  const columns: Column<Hook & { id: string }>[] = [
    { head: t('hooks.url'), wide: true, cell: (h) => <code>{h.url}</code> },
    {
      head: t('hooks.events'),
      cell: (h) => h.events?.map((e) => t(`hooks.event.${e}`)).join(', ') || t('hooks.all'),
    },
    {
      head: t('action.actions'),
      quiet: true,
      cell: (h) =>
        mayChange && (
          <div className="acts">
            <Act label={t('action.delete')} of={h.url} onClick={() => setRemoving(h)} />
          </div>
        ),
    },
  ]
  const add = mayChange && (
    <Button size="xs" variant="default" leftSection={<Glyph name="plus" size={14} />} onClick={() => setAdding(true)}>
      {t('hooks.add')}
    </Button>
  )
  return (
    <Section title={t('hooks.title')} aside={add}>
      {list.length > 0 ? (
        <Rows label={t('hooks.title')} columns={columns} rows={list.map((h) => ({ ...h, id: h.id ?? h.url }))} />
      ) : (
        <Empty title={t('hooks.none')}>
          <p>{t('hooks.noneText')}</p>
        </Empty>
      )}
      {adding && <HookDialog domain={domain} onClose={() => setAdding(false)} />}
      {removing && (
        <Confirm
          title={t('hooks.deleteTitle')}
          action={t('action.delete')}
          danger
          onConfirm={async () => {
            await api.change('DELETE', `${pathOf(domain.id)}/hooks/${removing.id}`)
            await reread('domains')
          }}
          onClose={() => setRemoving(undefined)}
        >
          <p>{t('hooks.deleteText', { url: removing.url })}</p>
        </Confirm>
      )}
    </Section>
  )
}

function HookDialog({ domain, onClose }: { domain: Domain; onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const [made, setMade] = useState<IssuedHook>()
  const form = useForm({ url: '', events: [] as string[] }, async ({ url, events }) => {
    const body = { url, events: events.length > 0 ? events : undefined }
    setMade(await api.change<IssuedHook>('POST', `${pathOf(domain.id)}/hooks`, { body }))
    await reread('domains')
  })
  if (made)
    return (
      <ShownOnce
        title={t('hooks.made')}
        note={t('hooks.madeText')}
        label={t('hooks.secret')}
        secret={made.secret}
        onClose={onClose}
      />
    )
  return (
    <Dialog title={t('hooks.add')} onClose={onClose}>
      <Form form={form} submit={t('action.add')} onCancel={onClose}>
        <TextInput
          label={t('hooks.url')}
          placeholder="https://hooks.example.test/mail"
          type="url"
          required
          spellCheck={false}
          {...form.text('url')}
        />
        <Switch.Group
          label={t('hooks.events')}
          description={t('hooks.eventsHint')}
          value={form.values.events}
          onChange={(v) => form.set('events', v)}
          error={form.complaint('events')}
        >
          <div className="form-checks">
            {events.map((e) => (
              <Switch key={e} value={e} label={t(`hooks.event.${e}`)} />
            ))}
          </div>
        </Switch.Group>
      </Form>
    </Dialog>
  )
}
