import { InputBase, NativeSelect, TextInput } from '@mantine/core'
import { api, ifMatch } from '../api/client'
import { useReread } from '../api/queries'
import type { Group } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { namesIn } from '../parts/ServerNames'
import { useText } from '../text/language'

const writers = ['anyone', 'domain', 'members'] as const

/** Makes an address whose mail goes to others, or changes whom it goes to. */
export function GroupDialog({ group, domain, onClose }: { group?: Group; domain: string; onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const initial = {
    address: group?.address ?? '',
    name: group?.name ?? '',
    members: group?.members.join('\n') ?? '',
    writers: group?.writers ?? ('anyone' as Group['writers']),
  }
  const form = useForm(initial, async ({ members, address, ...rest }) => {
    const whole = address.includes('@') ? address : `${address}@${domain}`
    const body = { ...rest, address: whole, members: namesIn(members) }
    if (group) await api.change('PUT', `/groups/${group.id}`, { body, headers: ifMatch(group) })
    else await api.change('POST', '/groups', { body })
    await reread('groups')
    onClose()
  })
  return (
    <Dialog title={group ? t('groups.edit', { address: group.address }) : t('groups.add')} onClose={onClose}>
      <Form form={form} submit={t(group ? 'action.save' : 'action.add')} onCancel={onClose}>
        {!group && (
          <TextInput
            label={t('groups.address')}
            placeholder={`team@${domain}`}
            required
            spellCheck={false}
            autoCapitalize="none"
            autoComplete="off"
            {...form.text('address')}
          />
        )}
        <TextInput label={t('groups.name')} maxLength={200} autoComplete="off" {...form.text('name')} />
        <InputBase
          component="textarea"
          multiline
          rows={4}
          label={t('groups.members')}
          description={t('groups.membersHint')}
          required
          spellCheck={false}
          {...form.text('members')}
        />
        <NativeSelect
          label={t('groups.writers')}
          data={writers.map((value) => ({ value, label: t(`groups.who.${value}`) }))}
          {...form.text('writers')}
        />
      </Form>
    </Dialog>
  )
}
