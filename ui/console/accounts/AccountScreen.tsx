import { getRouteApi, Link } from '@tanstack/react-router'
import { api } from '../api/client'
import { useServerName } from '../api/queries'
import type { AccountTerms } from '../api/types'
import { useMay } from '../app/rights'
import { AccountHold } from '../holds/AccountHold'
import { Failure, Loading } from '../parts/Feedback'
import { Screen, Section } from '../parts/Screen'
import { State } from '../parts/State'
import { Ago } from '../parts/Time'
import { FeatureList, LimitLine } from '../plans/Terms'
import { SessionTable } from '../sessions/SessionTable'
import { useText } from '../text/language'
import { AccountActs } from './AccountActs'
import { AppPasswords } from './AppPasswords'
import { Delivery } from './Delivery'
import { Mailboxes } from './Mailboxes'
import { useAccount } from './mail'
import { SignIns } from './SignIns'
import './accounts.css'

const route = getRouteApi('/accounts/$id')
const mail = 'smtp,submission,pop3,imap,webmail'

/** One account: what it holds and may use, who signs in to it, and with what. */
export default function AccountScreen() {
  const { t } = useText()
  const { id } = route.useParams()
  const account = useAccount(id)
  const maySessions = useMay('sessions', 'read')
  if (account.isPending) return <Loading />
  if (!account.data)
    return (
      <Screen title={t('nav.accounts')}>
        <Failure error={account.error} retry={() => account.refetch()} />
      </Screen>
    )
  const a = account.data
  const of = { kind: mail, account: a.id }
  return (
    <Screen title={a.address} aside={<AccountActs account={a} />}>
      <Facts account={a} />
      <AccountHold id={a.id} />
      <Delivery account={a} />
      <Mailboxes id={a.id} />
      <AppPasswords account={a} />
      {maySessions && (
        <Section title={t('account.connections')}>
          <SessionTable
            filter={of}
            one
            label={t('account.connections')}
            onEndAll={() => api.change('DELETE', '/sessions', { query: of })}
          />
        </Section>
      )}
      <SignIns account={a} />
    </Screen>
  )
}

function Facts({ account }: { account: AccountTerms }) {
  const { t } = useText()
  const serverName = useServerName()
  const mayServers = useMay('servers', 'read')
  const mayLedger = useMay('ledger', 'read')
  return (
    <dl className="facts account-facts">
      <div>
        <dt>{t('accounts.state')}</dt>
        <dd>
          <State of="account" state={account.state} />
        </dd>
      </div>
      <div>
        <dt>{t('accounts.name')}</dt>
        <dd>{account.name || <span className="dim">—</span>}</dd>
      </div>
      <div>
        <dt>{t('domains.name')}</dt>
        <dd>
          <Link to="/domains/$domain" params={{ domain: account.domain }}>
            {account.domain}
          </Link>
        </dd>
      </div>
      {mayServers && (
        <div>
          <dt>{t('accounts.server')}</dt>
          <dd>
            <Link to="/servers/$server" params={{ server: serverName(account.server) }}>
              {serverName(account.server)}
            </Link>
          </dd>
        </div>
      )}
      <div>
        <dt>{t('account.created')}</dt>
        <dd>
          <Ago at={account.created} />
        </dd>
      </div>
      {mayLedger && (
        <div>
          <dt>{t('account.ledger')}</dt>
          <dd>
            <Link to="/ledger" search={{ account: account.address }}>
              {t('account.showLedger')}
            </Link>
          </dd>
        </div>
      )}
      <div className="facts-wide">
        <dt>{t('account.limits')}</dt>
        <dd>
          <LimitLine of={account.effective.limits} />
        </dd>
      </div>
      <div className="facts-wide">
        <dt>{t('account.features')}</dt>
        <dd>
          <FeatureList of={account.effective.features} />
        </dd>
      </div>
    </dl>
  )
}
