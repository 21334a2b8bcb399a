import { Button } from '@mantine/core'
import { type ReactNode, useState } from 'react'
import type { Domain } from '../api/types'
import { useMay } from '../app/rights'
import { Section } from '../parts/Screen'
import { useText } from '../text/language'
import { MailDialog } from './MailDialog'

/** How mail of the domain is handled; what it does not say is as the server has it. */
export function MailSettings({ domain }: { domain: Domain }) {
  const { t } = useText()
  const mayChange = useMay('domains', 'change')
  const [editing, setEditing] = useState(false)
  const mail = domain.mail ?? {}
  const server = <span className="dim">{t('domain.asServer')}</span>
  const handling = (of: string | undefined) => (of ? t(`handling.${of as 'mark'}`) : server)
  const onOff = (of: string | undefined) => (of ? t(`domain.${of as 'on'}`) : server)
  const { route } = mail
  const facts: Record<string, ReactNode> = {
    [t('domain.catchAll')]: mail.catch_all || t('domain.refused'),
    [t('domain.abuse')]: mail.abuse || t('domain.likePostmaster'),
    [t('domain.report')]: mail.report || t('domain.likePostmaster'),
    [t('domain.delimiter')]: mail.delimiter === 'none' ? t('domain.noDelimiter') : mail.delimiter || '+',
    [t('domain.dmarc')]: handling(mail.dmarc),
    [t('domain.reverseNames')]: handling(mail.reverse_names),
    [t('domain.greylisting')]: onOff(mail.greylisting),
    [t('domain.blocklists')]: onOff(mail.blocklists),
    [t('domain.policy')]: t(`domain.asked.${mail.policy || 'none'}`),
    [t('domain.mtaSts')]: t(`domain.sts.${mail.mta_sts || 'none'}`),
    [t('domain.route')]: route?.host ? `${route.host}${route.port ? `:${route.port}` : ''}` : t('domain.direct'),
  }
  return (
    <Section
      title={t('domain.mail')}
      aside={
        mayChange && (
          <Button
            size="xs"
            variant="default"
            aria-label={`${t('action.edit')}: ${t('domain.mail')}`}
            onClick={() => setEditing(true)}
          >
            {t('action.edit')}
          </Button>
        )
      }
    >
      <dl className="facts">
        {Object.entries(facts).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {editing && <MailDialog domain={domain} onClose={() => setEditing(false)} />}
    </Section>
  )
}
