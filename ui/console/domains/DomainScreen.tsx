import { Button } from '@mantine/core'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useState } from 'react'
import { useAll } from '../api/queries'
import type { Domain, Plan, Tenant } from '../api/types'
import { useMay } from '../app/rights'
import { Failure, Loading } from '../parts/Feedback'
import { Screen } from '../parts/Screen'
import { Ago } from '../parts/Time'
import { LimitLine } from '../plans/Terms'
import { useText } from '../text/language'
import { DomainDialog } from './DomainDialog'
import './domain.css'
import { useDomain } from './data'
import { Groups } from './Groups'
import { Hooks } from './Hooks'
import { Keys } from './Keys'
import { MailSettings } from './MailSettings'
import { Records } from './Records'

const route = getRouteApi('/domains/$domain')

/** One domain: whose it is, how its mail is handled, where it goes, and what the DNS must say of it. */
export default function DomainScreen() {
  const { t } = useText()
  const { domain: name } = route.useParams()
  const domain = useDomain(name)
  const mayChange = useMay('domains', 'change')
  const mayGroups = useMay('groups', 'read')
  const mayKeys = useMay('dkim-keys', 'read')
  const [editing, setEditing] = useState(false)
  const edit = mayChange && (
    <Button variant="default" onClick={() => setEditing(true)}>
      {t('action.edit')}
    </Button>
  )
  return (
    <Screen title={name} aside={domain.data && edit}>
      {domain.isPending && <Loading />}
      {domain.error && <Failure error={domain.error} retry={() => domain.refetch()} />}
      {domain.data && (
        <>
          <Facts domain={domain.data} />
          <MailSettings domain={domain.data} />
          {mayGroups && <Groups domain={domain.data.name} />}
          <Records domain={domain.data.name} />
          {mayKeys && <Keys domain={domain.data.name} />}
          <Hooks domain={domain.data} />
        </>
      )}
      {editing && domain.data && <DomainDialog domain={domain.data} onClose={() => setEditing(false)} />}
    </Screen>
  )
}

function Facts({ domain }: { domain: Domain }) {
  const { t, format } = useText()
  const tenants = useAll<Tenant>('tenants')
  const plans = useAll<Plan>('plans')
  const mayLedger = useMay('ledger', 'read')
  const dash = <span className="dim">—</span>
  return (
    <dl className="facts">
      <div>
        <dt>{t('domains.tenant')}</dt>
        <dd>{tenants.find((x) => x.id === domain.tenant)?.name ?? dash}</dd>
      </div>
      <div>
        <dt>{t('tenants.plan')}</dt>
        <dd>{plans.find((p) => p.id === domain.plan)?.name ?? dash}</dd>
      </div>
      <div>
        <dt>{t('tenants.maxAccounts')}</dt>
        <dd>{domain.max_accounts ? format.number(domain.max_accounts) : t('limits.none')}</dd>
      </div>
      <div>
        <dt>{t('domains.limits')}</dt>
        <dd>{domain.limits ? <LimitLine of={domain.limits} /> : dash}</dd>
      </div>
      <div>
        <dt>{t('domains.postmaster')}</dt>
        <dd>{domain.postmaster || dash}</dd>
      </div>
      <div>
        <dt>{t('domains.created')}</dt>
        <dd>
          <Ago at={domain.created} />
        </dd>
      </div>
      <div>
        <dt>{t('nav.accounts')}</dt>
        <dd>
          <Link to="/accounts" search={{ domain: domain.name }}>
            {t('domain.accounts')}
          </Link>
        </dd>
      </div>
      {mayLedger && (
        <div>
          <dt>{t('nav.ledger')}</dt>
          <dd>
            <Link to="/ledger" search={{ domain: domain.name }}>
              {t('domain.ledger')}
            </Link>
          </dd>
        </div>
      )}
    </dl>
  )
}
