import { NativeSelect, TextInput } from '@mantine/core'
import { api, ifMatch } from '../api/client'
import { useAll, useReread } from '../api/queries'
import type { Plan, Tenant } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { useText } from '../text/language'
import { FeatureFields, LimitFields } from './LimitFields'
import { limitDraft, limitsOf } from './limits'

/** Makes a plan, or changes one. */
export function PlanDialog({ plan, onClose }: { plan?: Plan; onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const tenants = useAll<Tenant>('tenants')
  const initial = {
    name: plan?.name ?? '',
    tenant: plan?.tenant ?? '',
    limits: limitDraft(plan?.limits),
    features: plan?.features ?? {},
  }
  const form = useForm(initial, async ({ name, tenant, limits, features }) => {
    const body = { name, tenant: tenant || undefined, limits: limitsOf(limits), features }
    if (plan) await api.change('PUT', `/plans/${plan.id}`, { body, headers: ifMatch(plan) })
    else await api.change('POST', '/plans', { body })
    await reread('plans')
    onClose()
  })
  const whose = [{ value: '', label: t('plans.everybody') }, ...tenants.map((x) => ({ value: x.id, label: x.name }))]
  return (
    <Dialog title={t(plan ? 'plans.edit' : 'plans.add')} onClose={onClose}>
      <Form form={form} submit={t('action.save')} onCancel={onClose}>
        <TextInput label={t('plans.name')} required maxLength={100} {...form.text('name')} />
        <NativeSelect
          label={t('plans.tenant')}
          description={t('plans.tenantHint')}
          data={whose}
          {...form.text('tenant')}
        />
        <LimitFields
          draft={form.values.limits}
          onChange={(limits) => form.set('limits', limits)}
          complaint={(name) => form.complaint(`limits.${name}`)}
        />
        <FeatureFields switches={form.values.features} onChange={(features) => form.set('features', features)} />
      </Form>
    </Dialog>
  )
}
