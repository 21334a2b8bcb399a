import { NativeSelect, TextInput } from '@mantine/core'
import { api, ifMatch } from '../api/client'
import { useAll, useReread } from '../api/queries'
import type { Domain, Plan, Tenant } from '../api/types'
import { useMay } from '../app/rights'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { LimitFields } from '../plans/LimitFields'
import { limitDraft, limitsOf } from '../plans/limits'
import { useText } from '../text/language'

interface DomainDialogProps {
  domain?: Domain
  /** The one a new domain shall belong to. */
  tenant?: string
  onClose: () => void
}

/** Adds a domain, or changes one: its plan and limits by those who may, its postmaster by its administrator. */
export function DomainDialog({ domain, tenant, onClose }: DomainDialogProps) {
  const { t } = useText()
  const reread = useReread()
  const mayWrite = useMay('domains', 'write')
  const initial = {
    name: domain?.name ?? '',
    tenant: domain?.tenant ?? tenant ?? '',
    plan: domain?.plan ?? '',
    postmaster: domain?.postmaster ?? '',
    max_accounts: domain?.max_accounts ? String(domain.max_accounts) : '',
    limits: limitDraft(domain?.limits),
  }
  const form = useForm(initial, async ({ name, postmaster, tenant, plan, max_accounts, limits }) => {
    const whole = { tenant, plan, max_accounts: Number(max_accounts), limits: limitsOf(limits) }
    const body = { name, postmaster: postmaster.trim() || undefined, ...(mayWrite && whole) }
    if (domain) await api.change('PUT', `/domains/${domain.id}`, { body, headers: ifMatch(domain) })
    else await api.change('POST', '/domains', { body })
    await reread('domains')
    onClose()
  })
  return (
    <Dialog title={domain ? t('domains.edit', { name: domain.name }) : t('domains.add')} onClose={onClose}>
      <Form form={form} submit={t(domain ? 'action.save' : 'action.add')} onCancel={onClose}>
        {!domain && (
          <TextInput label={t('domains.name')} spellCheck={false} inputMode="url" required {...form.text('name')} />
        )}
        {mayWrite && (
          <Terms tenant={form.text('tenant')} plan={form.text('plan')} accounts={form.text('max_accounts')} />
        )}
        {domain && (
          <TextInput
            label={t('domains.postmaster')}
            description={t('domains.postmasterHint', { name: domain.name })}
            type="email"
            spellCheck={false}
            {...form.text('postmaster')}
          />
        )}
        {mayWrite && (
          <LimitFields
            draft={form.values.limits}
            onChange={(limits) => form.set('limits', limits)}
            complaint={(name) => form.complaint(`limits.${name}`)}
          />
        )}
      </Form>
    </Dialog>
  )
}

/** Whose a domain is, the plan of its accounts, and how many it may have. */
function Terms({ tenant, plan, accounts }: { tenant: object; plan: object; accounts: object }) {
  const { t } = useText()
  const tenants = useAll<Tenant>('tenants')
  const plans = useAll<Plan>('plans')
  return (
    <>
      <NativeSelect
        label={t('domains.tenant')}
        data={[{ value: '', label: t('tenants.noParent') }, ...tenants.map((x) => ({ value: x.id, label: x.name }))]}
        {...tenant}
      />
      <div className="form-row">
        <NativeSelect
          label={t('tenants.plan')}
          data={[{ value: '', label: t('domains.tenantPlan') }, ...plans.map((p) => ({ value: p.id, label: p.name }))]}
          {...plan}
        />
        <TextInput
          label={t('tenants.maxAccounts')}
          type="number"
          min={0}
          placeholder={t('limits.none')}
          {...accounts}
        />
      </div>
    </>
  )
}
