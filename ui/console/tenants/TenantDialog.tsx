import { NativeSelect, TextInput } from '@mantine/core'
import { api, ifMatch } from '../api/client'
import { useAll, useReread } from '../api/queries'
import type { Plan, Tenant } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { useText } from '../text/language'
import { familyOf, type Placed } from './tree'

const kinds = ['enterprise', 'reseller'] as const

/** A tenant as the form has it; a limit that is none is empty. */
function draft(x: Tenant | undefined) {
  return {
    name: x?.name ?? '',
    kind: x?.kind ?? 'enterprise',
    parent: x?.parent ?? '',
    plan: x?.plan ?? '',
    max_domains: x?.max_domains ? String(x.max_domains) : '',
    max_accounts: x?.max_accounts ? String(x.max_accounts) : '',
    contact: x?.contact ?? '',
  }
}

/** Adds a tenant, or changes one. */
export function TenantDialog({ tenant, tree, onClose }: { tenant?: Tenant; tree: Placed[]; onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const plans = useAll<Plan>('plans')
  const family = tenant && familyOf(tree, tenant.id)
  const parents = tree.filter((x) => x.kind === 'reseller' && !family?.has(x.id))
  const form = useForm(draft(tenant), async ({ parent, plan, max_domains, max_accounts, ...rest }) => {
    const body = {
      ...rest,
      parent: parent || undefined,
      plan: plan || undefined,
      max_domains: Number(max_domains),
      max_accounts: Number(max_accounts),
    }
    if (tenant) await api.change('PUT', `/tenants/${tenant.id}`, { body, headers: ifMatch(tenant) })
    else await api.change('POST', '/tenants', { body })
    await reread('tenants')
    onClose()
  })
  const number = { type: 'number', min: 0, placeholder: t('limits.none') } as const
  return (
    <Dialog title={t(tenant ? 'tenants.edit' : 'tenants.add')} onClose={onClose}>
      <Form form={form} submit={t('action.save')} onCancel={onClose}>
        <TextInput label={t('tenants.name')} required maxLength={100} {...form.text('name')} />
        <div className="form-row">
          <NativeSelect
            label={t('tenants.kind')}
            data={kinds.map((value) => ({ value, label: t(`tenantKind.${value}`) }))}
            {...form.text('kind')}
          />
          <NativeSelect
            label={t('tenants.parent')}
            data={[
              { value: '', label: t('tenants.noParent') },
              ...parents.map((x) => ({ value: x.id, label: `${'　'.repeat(x.depth)}${x.name}` })),
            ]}
            {...form.text('parent')}
          />
        </div>
        <p className="dim form-hint">{t('tenants.kindHint')}</p>
        <NativeSelect
          label={t('tenants.plan')}
          description={t('tenants.planHint')}
          data={[{ value: '', label: t('plans.noPlan') }, ...plans.map((p) => ({ value: p.id, label: p.name }))]}
          {...form.text('plan')}
        />
        <div className="form-row">
          <TextInput label={t('tenants.maxDomains')} {...number} {...form.text('max_domains')} />
          <TextInput label={t('tenants.maxAccounts')} {...number} {...form.text('max_accounts')} />
        </div>
        <TextInput label={t('tenants.contact')} {...form.text('contact')} />
      </Form>
    </Dialog>
  )
}
