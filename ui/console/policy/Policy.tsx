import { Switch, TextInput } from '@mantine/core'
import { api } from '../api/client'
import { usePolicy, useReread } from '../api/queries'
import type { Policy as PolicyOf, Role } from '../api/types'
import { useMay } from '../app/rights'
import { kinds } from '../operations/kinds'
import { Failure, Loading } from '../parts/Feedback'
import { Form, useForm } from '../parts/Form'
import { Screen } from '../parts/Screen'
import { useTell } from '../parts/Toasts'
import { roles } from '../people/grant'
import { seconds } from '../text/format'
import { useText } from '../text/language'
import '../security/security.css'
import './policy.css'

const day = 86_400

/** What the fleet asks of people and of operations. */
export default function Policy() {
  const { t } = useText()
  const policy = usePolicy()
  if (policy.isPending) return <Loading />
  return (
    <Screen title={t('nav.policy')}>
      {policy.data ? (
        <PolicyForm key={JSON.stringify(policy.data)} policy={policy.data} />
      ) : (
        <Failure error={policy.error} retry={() => policy.refetch()} />
      )}
    </Screen>
  )
}

/** Days as they are typed; empty: no end. */
const days = (d: string | number) => (seconds(d) > 0 ? String(seconds(d) / day) : '')

function PolicyForm({ policy }: { policy: PolicyOf }) {
  const { t } = useText()
  const tell = useTell()
  const reread = useReread()
  const mayWrite = useMay('policy', 'write')
  const initial = {
    password_length: String(policy.password_length),
    password_age: days(policy.password_age),
    token_life: days(policy.token_life),
    totp_roles: policy.totp_roles as string[],
    approval_kinds: policy.approval_kinds as string[],
  }
  const form = useForm(initial, async ({ password_length, password_age, token_life, ...rest }) => {
    const body = {
      ...rest,
      password_length: Number(password_length),
      password_age: `${Math.round(Number(password_age) * day)}s`,
      token_life: `${Math.round(Number(token_life) * day)}s`,
    }
    await api.change('PUT', '/policy', { body })
    tell.done(t('policy.done'))
    await reread('policy')
  })
  return (
    <Form form={form} submit={mayWrite ? t('action.save') : undefined}>
      <fieldset className="security" disabled={!mayWrite}>
        <section className="panel">
          <h2>{t('policy.passwords')}</h2>
          <TextInput
            label={t('policy.length')}
            type="number"
            min={8}
            max={128}
            required
            {...form.text('password_length')}
          />
          <TextInput
            label={t('policy.age')}
            description={t('policy.ageHint')}
            type="number"
            min={0}
            step="any"
            placeholder={t('policy.never')}
            {...form.text('password_age')}
          />
          <TextInput
            label={t('policy.tokenLife')}
            description={t('policy.tokenLifeHint')}
            type="number"
            min={0}
            step="any"
            placeholder={t('limits.none')}
            {...form.text('token_life')}
          />
        </section>
        <section className="panel">
          <Switch.Group
            label={t('policy.totp')}
            description={t('policy.totpHint')}
            value={form.values.totp_roles}
            onChange={(v) => form.set('totp_roles', v)}
            error={form.complaint('totp_roles')}
          >
            <div className="form-checks">
              {roles.map((r: Role) => (
                <Switch key={r} value={r} label={t(`role.${r}`)} />
              ))}
            </div>
          </Switch.Group>
        </section>
        <section className="panel">
          <Switch.Group
            label={t('policy.approval')}
            description={t('policy.approvalHint')}
            value={form.values.approval_kinds}
            onChange={(v) => form.set('approval_kinds', v)}
            error={form.complaint('approval_kinds')}
          >
            <div className="form-checks">
              {kinds.map((k) => (
                <Switch key={k} value={k} label={t(`kind.${k}`)} />
              ))}
            </div>
          </Switch.Group>
        </section>
      </fieldset>
    </Form>
  )
}
