import { TextInput } from '@mantine/core'
import { api, ifMatch } from '../api/client'
import { useReread, useServers } from '../api/queries'
import type { Pool } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { useText } from '../text/language'

/** Makes a pool, or changes what it is; its members stay. */
export function PoolDialog({ pool, onClose }: { pool?: Pool; onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const services = [...new Set(useServers().data?.flatMap((s) => s.services.map((v) => v.name)))].sort()
  const first = {
    name: pool?.name ?? '',
    service: pool?.service ?? '',
    description: pool?.description ?? '',
    max_unavailable: String(pool?.max_unavailable ?? 1),
    per_region: String(pool?.per_region ?? 0),
  }
  const form = useForm(first, async (v) => {
    const body = {
      ...v,
      max_unavailable: Number(v.max_unavailable),
      per_region: Number(v.per_region),
      members: pool?.members ?? [],
    }
    if (pool) await api.change('PUT', `/pools/${pool.id}`, { body, headers: ifMatch(pool) })
    else await api.change('POST', '/pools', { body })
    await reread('pools')
    onClose()
  })
  return (
    <Dialog title={t(pool ? 'pools.edit' : 'pools.add')} onClose={onClose}>
      <Form form={form} submit={t('action.save')} onCancel={onClose}>
        <TextInput label={t('pools.name')} required spellCheck={false} {...form.text('name')} />
        <TextInput
          label={t('pools.service')}
          description={t('pools.serviceHint')}
          list="pool-services"
          required
          spellCheck={false}
          autoComplete="off"
          disabled={(pool?.members.length ?? 0) > 0}
          {...form.text('service')}
        />
        <datalist id="pool-services">
          {services.map((s) => (
            <option key={s} value={s} />
          ))}
        </datalist>
        <TextInput label={t('pools.description')} maxLength={500} {...form.text('description')} />
        <div className="form-row">
          <TextInput label={t('pools.unavailable')} type="number" min={1} {...form.text('max_unavailable')} />
          <TextInput label={t('pools.perRegion')} type="number" min={0} {...form.text('per_region')} />
        </div>
      </Form>
    </Dialog>
  )
}
