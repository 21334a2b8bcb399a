import { NativeSelect, PasswordInput, TextInput } from '@mantine/core'
import { api, ifMatch } from '../api/client'
import { useReread } from '../api/queries'
import type { Domain, NewDomainMail } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { useText } from '../text/language'
import { pathOf } from './data'

const handlings = ['none', 'mark', 'quarantine', 'refuse'] as const
const secured = ['required', 'implicit', 'opportunistic'] as const

/** The settings of a draft; empty ones are left to the server. */
function mailOf(v: ReturnType<typeof draftOf>, before: Domain['mail']): NewDomainMail {
  const text = (s: string) => s.trim() || undefined
  const route = {
    host: text(v.host),
    port: v.port.trim() === '' ? undefined : Number(v.port),
    tls: (v.tls || undefined) as NonNullable<NewDomainMail['route']>['tls'],
    user: text(v.user),
  }
  return {
    ...before,
    hooks: undefined,
    catch_all: text(v.catch_all),
    abuse: text(v.abuse),
    report: text(v.report),
    delimiter: text(v.delimiter),
    dmarc: (v.dmarc || undefined) as NewDomainMail['dmarc'],
    reverse_names: (v.reverse_names || undefined) as NewDomainMail['reverse_names'],
    greylisting: (v.greylisting || undefined) as NewDomainMail['greylisting'],
    blocklists: (v.blocklists || undefined) as NewDomainMail['blocklists'],
    policy: (v.policy || undefined) as NewDomainMail['policy'],
    mta_sts: (v.mta_sts || undefined) as NewDomainMail['mta_sts'],
    route: route.host ? route : undefined,
    route_password: v.password || undefined,
  }
}

function draftOf(mail: Domain['mail'] = {}) {
  return {
    catch_all: mail.catch_all ?? '',
    abuse: mail.abuse ?? '',
    report: mail.report ?? '',
    delimiter: mail.delimiter ?? '',
    dmarc: mail.dmarc ?? '',
    reverse_names: mail.reverse_names ?? '',
    greylisting: mail.greylisting ?? '',
    blocklists: mail.blocklists ?? '',
    policy: mail.policy ?? '',
    mta_sts: mail.mta_sts ?? '',
    host: mail.route?.host ?? '',
    port: mail.route?.port ? String(mail.route.port) : '',
    tls: mail.route?.tls ?? '',
    user: mail.route?.user ?? '',
    password: '',
  }
}

/** Changes how mail of a domain is handled. */
export function MailDialog({ domain, onClose }: { domain: Domain; onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const form = useForm(draftOf(domain.mail), async (v) => {
    await api.change('PUT', `${pathOf(domain.id)}/mail`, { body: mailOf(v, domain.mail), headers: ifMatch(domain) })
    await reread('domains')
    onClose()
  })
  type Field = Parameters<typeof form.text>[0]
  const address = (name: Field, label: string, description: string) => (
    <TextInput
      label={label}
      description={description}
      type="email"
      spellCheck={false}
      autoComplete="off"
      {...form.text(name)}
    />
  )
  const handling = (name: Field, label: string, of: readonly (typeof handlings)[number][]) => (
    <NativeSelect
      label={label}
      data={[
        { value: '', label: t('domain.asServer') },
        ...of.map((value) => ({ value, label: t(`handling.${value}`) })),
      ]}
      {...form.text(name)}
    />
  )
  const onOff = (name: Field, label: string) => (
    <NativeSelect
      label={label}
      data={[
        { value: '', label: t('domain.asServer') },
        { value: 'on', label: t('domain.on') },
        { value: 'off', label: t('domain.off') },
      ]}
      {...form.text(name)}
    />
  )
  return (
    <Dialog title={t('domain.mailOf', { name: domain.name })} onClose={onClose}>
      <Form form={form} submit={t('action.save')} onCancel={onClose}>
        {address('catch_all', t('domain.catchAll'), t('domain.catchAllHint'))}
        {address('abuse', t('domain.abuse'), t('domain.postmasterHint'))}
        <TextInput
          label={t('domain.delimiter')}
          description={t('domain.delimiterHint')}
          placeholder="+"
          maxLength={4}
          spellCheck={false}
          autoComplete="off"
          {...form.text('delimiter')}
        />
        <div className="form-row form-pairs">
          {handling('dmarc', t('domain.dmarc'), handlings)}
          {handling('reverse_names', t('domain.reverseNames'), ['none', 'mark', 'refuse'])}
          {onOff('greylisting', t('domain.greylisting'))}
          {onOff('blocklists', t('domain.blocklists'))}
        </div>
        <div className="form-row form-pairs">
          <NativeSelect
            label={t('domain.policy')}
            data={(['none', 'quarantine', 'refuse'] as const).map((value) => ({
              value: value === 'none' ? '' : value,
              label: t(`domain.asked.${value}`),
            }))}
            {...form.text('policy')}
          />
          <NativeSelect
            label={t('domain.mtaSts')}
            data={(['none', 'testing', 'enforce'] as const).map((value) => ({
              value: value === 'none' ? '' : value,
              label: t(`domain.sts.${value}`),
            }))}
            {...form.text('mta_sts')}
          />
        </div>
        {address('report', t('domain.report'), t('domain.postmasterHint'))}
        <Route form={form} had={domain.mail?.route?.has_password === true} />
      </Form>
    </Dialog>
  )
}

interface RouteProps {
  form: {
    values: ReturnType<typeof draftOf>
    text: (name: 'host' | 'port' | 'tls' | 'user' | 'password') => object
    complaint: (name: string) => string | undefined
  }
  had: boolean
}

/** The smart host that takes the domain's mail to others. */
function Route({ form, had }: RouteProps) {
  const { t } = useText()
  const complaint = form.complaint('route')
  return (
    <details className="form-part" open={form.values.host !== '' || complaint !== undefined}>
      <summary>{t('domain.route')}</summary>
      <div className="form">
        <p className="dim">{t('domain.routeHint')}</p>
        <div className="form-row">
          <TextInput label={t('domain.host')} spellCheck={false} autoComplete="off" {...form.text('host')} />
          <TextInput
            label={t('domain.port')}
            type="number"
            min={0}
            max={65535}
            placeholder="587"
            {...form.text('port')}
          />
        </div>
        <NativeSelect
          label="TLS"
          data={secured.map((value) => ({ value: value === 'required' ? '' : value, label: t(`domain.tls.${value}`) }))}
          {...form.text('tls')}
        />
        <div className="form-row">
          <TextInput label={t('domain.user')} spellCheck={false} autoComplete="off" {...form.text('user')} />
          <PasswordInput
            label={t('accounts.password')}
            placeholder={had ? t('domain.kept') : undefined}
            autoComplete="new-password"
            {...form.text('password')}
          />
        </div>
        {complaint && <p className="form-complaint">{complaint}</p>}
      </div>
    </details>
  )
}
