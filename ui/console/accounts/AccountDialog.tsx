import { NativeSelect, TextInput } from '@mantine/core'
import { api, ifMatch } from '../api/client'
import { useAll, useReread } from '../api/queries'
import type { AccountTerms, Plan } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { FeatureFields, LimitFields } from '../plans/LimitFields'
import { limitDraft, limitsOf } from '../plans/limits'
import { useText } from '../text/language'

/** Changes an account's name, and what it may use. */
export function AccountDialog({ account, onClose }: { account: AccountTerms; onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const plans = useAll<Plan>('plans')
  const initial = {
    name: account.name,
    plan: account.plan ?? '',
    limits: limitDraft(account.limits),
    features: account.features ?? {},
  }
  const form = useForm(initial, async ({ limits, ...rest }) => {
    const body = { ...rest, limits: limitsOf(limits) }
    await api.change('PATCH', `/accounts/${account.id}`, { body, headers: ifMatch(account) })
    await reread('accounts')
    onClose()
  })
  return (
    <Dialog title={t('account.edit', { address: account.address })} onClose={onClose}>
      <Form form={form} submit={t('action.save')} onCancel={onClose}>
        <TextInput label={t('accounts.name')} autoComplete="off" {...form.text('name')} />
        <NativeSelect
          label={t('tenants.plan')}
          data={[{ value: '', label: t('account.domainPlan') }, ...plans.map((p) => ({ value: p.id, label: p.name }))]}
          {...form.text('plan')}
        />
        <LimitFields
          draft={form.values.limits}
          onChange={(limits) => form.set('limits', limits)}
          wider={account.effective.limits}
          complaint={(name) => form.complaint(`limits.${name}`)}
        />
        <FeatureFields switches={form.values.features} onChange={(features) => form.set('features', features)} />
      </Form>
    </Dialog>
  )
}
