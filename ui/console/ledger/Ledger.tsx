import { Button, NativeSelect, TextInput } from '@mantine/core'
import { getRouteApi } from '@tanstack/react-router'
import { useState } from 'react'
import { address } from '../api/client'
import { useAll } from '../api/queries'
import type { Domain, Ledger as LedgerType } from '../api/types'
import { TimeChart } from '../charts/TimeChart'
import { Choice } from '../parts/Choice'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Screen, Section } from '../parts/Screen'
import { useText } from '../text/language'
import { daily, dayBefore, type Figure, type LedgerOf, useDays, useLedger, useToday } from './data'
import { Failures } from './Failures'
import './ledger.css'
import { LedgerTable } from './LedgerTable'

const route = getRouteApi('/ledger')
const spans = ['7', '30', '90', '365'] as const
const groups = ['day', 'domain', 'account'] as const
type Group = (typeof groups)[number]

/** What was sent and got, and what failed: by day, domain and account. */
export default function Ledger() {
  const { t } = useText()
  const { domain, account } = route.useSearch()
  const navigate = route.useNavigate()
  const domains = useAll<Domain>('domains')
  const [span, setSpan] = useState<(typeof spans)[number]>('30')
  const [group, setGroup] = useState<Group>('day')
  const now = useToday()
  const of: LedgerOf = { domain, account, from: dayBefore(now, Number(span) - 1), to: dayBefore(now, 0) }
  const days = useDays(of)
  const rows = useLedger(of, group)
  const csv = address('/ledger.csv', { ...of, by: group === 'day' ? ['day', 'domain'] : ['day', 'domain', 'account'] })
  return (
    <Screen
      title={t('nav.ledger')}
      aside={
        <Button component="a" href={csv} download="ledger.csv" size="xs" variant="default">
          {t('audit.csv')}
        </Button>
      }
    >
      <search className="toolbar">
        <NativeSelect
          size="xs"
          label={t('domains.name')}
          data={[
            { value: '', label: t('ledger.allDomains') },
            ...domains.map((d) => ({ value: d.name, label: d.name })),
          ]}
          value={domain ?? ''}
          onChange={(e) => navigate({ search: { domain: e.currentTarget.value || undefined } })}
        />
        <Account
          key={account}
          account={account ?? ''}
          onAccount={(a) => navigate({ search: { account: a || undefined } })}
        />
        <Choice
          label={t('ledger.span')}
          value={span}
          onChange={setSpan}
          options={spans.map((value) => ({ value, label: t('ledger.days', { count: Number(value) }) }))}
        />
      </search>
      {days.data && days.data.silent.length + Number(days.data.partial) > 0 && <Partial ledger={days.data} />}
      {days.isPending && <Loading rows={6} />}
      {days.error && <Failure error={days.error} retry={() => days.refetch()} />}
      {days.data && <Charts ledger={days.data} />}
      <p className="dim">{t('ledger.utc')}</p>
      <Section
        title={t('ledger.table')}
        aside={
          <Choice
            label={t('ledger.by')}
            value={group}
            onChange={setGroup}
            options={groups.map((value) => ({ value, label: t(`ledger.group.${value}`) }))}
          />
        }
      >
        {rows.isPending && <Loading rows={6} />}
        {rows.error && <Failure error={rows.error} retry={() => rows.refetch()} />}
        {rows.data && rows.data.pages[0]?.items.length === 0 && <Empty title={t('ledger.none')} />}
        {rows.data && rows.data.pages[0]?.items.length !== 0 && <LedgerTable pages={rows.data.pages} />}
        {rows.hasNextPage && (
          <Button variant="default" size="xs" loading={rows.isFetchingNextPage} onClick={() => rows.fetchNextPage()}>
            {t('action.more')}
          </Button>
        )}
      </Section>
      <Failures of={of} />
    </Screen>
  )
}

/** An address to look at alone; asked for when it is typed whole. */
function Account({ account, onAccount }: { account: string; onAccount: (a: string) => void }) {
  const { t } = useText()
  const [typed, setTyped] = useState(account)
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault()
        onAccount(typed.trim())
      }}
    >
      <TextInput
        size="xs"
        type="search"
        label={t('ledger.account')}
        placeholder="user@example.test ↵"
        spellCheck={false}
        autoCapitalize="none"
        maxLength={320}
        value={typed}
        onChange={(e) => setTyped(e.currentTarget.value)}
        onBlur={() => typed.trim() !== account && onAccount(typed.trim())}
      />
    </form>
  )
}

function Partial({ ledger }: { ledger: LedgerType }) {
  const { t } = useText()
  return (
    <div className="notice" data-tone="warn">
      <Glyph name="warning" />
      <div>
        {ledger.silent.length > 0 ? t('sessions.silent', { servers: ledger.silent.join(', ') }) : t('sessions.partial')}
      </div>
    </div>
  )
}

const charts: { name: 'messages' | 'bytes' | 'failures'; unit: 'figure' | 'bytes'; lines: Figure[] }[] = [
  { name: 'messages', unit: 'figure', lines: ['in', 'out'] },
  { name: 'bytes', unit: 'bytes', lines: ['in_bytes', 'out_bytes'] },
  { name: 'failures', unit: 'figure', lines: ['failed'] },
]

function Charts({ ledger }: { ledger: LedgerType }) {
  const { t } = useText()
  const { from, to, items } = ledger
  return (
    <div className="ledger-charts">
      {charts.map((c) => (
        <TimeChart
          key={c.name}
          title={t(`ledger.chart.${c.name}`)}
          unit={c.unit}
          lines={c.lines.map((f) => ({ label: t(`ledger.${f}`), points: daily(items, f, from, to) }))}
          from={Date.parse(from) / 1000}
          to={Math.max(Date.parse(to), Date.parse(from) + 86_400_000) / 1000}
          step={86_400}
          days
        />
      ))}
    </div>
  )
}
