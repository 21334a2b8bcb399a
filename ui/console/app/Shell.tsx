import { ActionIcon } from '@mantine/core'
import { Link, useRouterState } from '@tanstack/react-router'
import { type ReactNode, useEffect, useState } from 'react'
import { useStatus } from '../api/queries'
import type { Session } from '../api/types'
import { useFreshness } from '../live/Live'
import { Glyph, type GlyphName, Logo } from '../parts/Glyph'
import { useText } from '../text/language'
import { Person } from './Person'
import { useRights } from './rights'
import { useSearchKey } from './search'
import './shell.css'

const groups = [
  { name: 'watch', items: ['overview', 'services', 'alerts'] },
  { name: 'steer', items: ['operations', 'pools', 'windows', 'releases'] },
  { name: 'notify', items: ['rules', 'contacts', 'sms'] },
  { name: 'mail', items: ['tenants', 'domains', 'accounts', 'queue', 'ledger', 'plans'] },
  { name: 'people', items: ['people', 'tokens', 'sessions', 'policy', 'audit'] },
] as const satisfies { name: string; items: GlyphName[] }[]

/** The resource a screen is offered for, where it is not named alike. Everybody reads the policy; it is the fleet's people's to look after. */
const shows: Record<string, string> = { overview: 'servers', policy: 'status' }

/** What surrounds every screen: navigation, the state of the event stream, the person. */
export function Shell({ session, children }: { session: Session; children: ReactNode }) {
  const { t } = useText()
  const [open, setOpen] = useState(false)
  const path = useRouterState({ select: (s) => s.location.pathname })
  const may = useRights()
  useSearchKey()
  const offered = groups
    .map((g) => ({ ...g, items: g.items.filter((i) => may(shows[i] ?? i, 'read')) }))
    .filter((g) => g.items.length > 0)

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new screen closes the navigation
  useEffect(() => setOpen(false), [path])

  return (
    <div className="shell">
      <a className="skip" href="#main">
        {t('nav.skip')}
      </a>
      <header className="topbar">
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          aria-label={t('nav.menu')}
          aria-expanded={open}
          aria-controls="navigation"
          onClick={() => setOpen(!open)}
        >
          <Glyph name={open ? 'close' : 'menu'} size={20} />
        </ActionIcon>
        <Brand />
        <AlertCount />
      </header>
      <div className="side" data-open={open} id="navigation">
        <nav aria-label={t('nav.label')}>
          <Brand />
          {offered.map((g) => (
            <ul key={g.name}>
              {g.items.map((item) => (
                <li key={item}>
                  <Link to={item === 'overview' ? '/' : `/${item}`} activeOptions={{ exact: item === 'overview' }}>
                    <Glyph name={item} />
                    {t(`nav.${item}`)}
                    {item === 'alerts' && <AlertCount bare />}
                  </Link>
                </li>
              ))}
            </ul>
          ))}
        </nav>
        <Person session={session} />
      </div>
      <main id="main" tabIndex={-1}>
        <StreamBanner />
        <ControllerProblems />
        {children}
      </main>
    </div>
  )
}

function Brand() {
  return (
    <Link to="/" className="brand">
      <Logo />
      <span>Mailfleet</span>
    </Link>
  )
}

/** How many alerts fire; nothing when none does. */
function AlertCount({ bare }: { bare?: boolean }) {
  const { t } = useText()
  const counts = useStatus().data?.alerts ?? {}
  const n = Object.values(counts).reduce((sum, c) => sum + c, 0)
  if (n === 0) return null
  const badge = (
    <span className="count" data-tone={counts.critical ? 'bad' : 'warn'}>
      {n}
      <span className="visually-hidden">{t('nav.firing')}</span>
    </span>
  )
  if (bare) return badge
  return (
    <Link to="/alerts" className="topbar-alerts" aria-label={t('nav.alertsFiring', { count: n })}>
      <Glyph name="alerts" size={20} />
      {badge}
    </Link>
  )
}

/** Says that what is shown may be old, for as long as it is so. */
function StreamBanner() {
  const { t } = useText()
  if (useFreshness() !== 'lost') return null
  return (
    <div className="banner" role="alert">
      <Glyph name="stale" />
      {t(navigator.onLine ? 'stream.lost' : 'stream.offline')}
    </div>
  )
}

/** What ails the controller itself. */
function ControllerProblems() {
  const { say } = useText()
  const { problems = [], said = [] } = useStatus().data ?? {}
  return problems.map((p, i) => (
    <div className="banner" role="alert" key={p}>
      <Glyph name="warning" />
      {say(p, said[i])}
    </div>
  ))
}
