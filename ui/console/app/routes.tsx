import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  type RouterHistory,
} from '@tanstack/react-router'
import type { AlertState } from '../api/types'
import { type Range, ranges } from '../charts/ranges'
import { Loading } from '../parts/Feedback'
import { BrokenScreen, NotFound } from './Broken'
import { Gate } from './Gate'

const root = createRootRoute({ component: Gate, notFoundComponent: NotFound })

const overview = createRoute({
  getParentRoute: () => root,
  path: '/',
  component: lazyRouteComponent(() => import('../overview/Overview')),
})

const server = createRoute({
  getParentRoute: () => root,
  path: '/servers/$server',
  validateSearch: (s): { range?: Range } => ({ range: ranges.find((r) => r === s.range) }),
  component: lazyRouteComponent(() => import('../server/ServerScreen')),
})

const services = createRoute({
  getParentRoute: () => root,
  path: '/services',
  component: lazyRouteComponent(() => import('../services/Matrix')),
})

const pools = createRoute({
  getParentRoute: () => root,
  path: '/pools',
  component: lazyRouteComponent(() => import('../pools/Pools')),
})

const pool = createRoute({
  getParentRoute: () => root,
  path: '/pools/$pool',
  component: lazyRouteComponent(() => import('../pools/PoolScreen')),
})

const windows = createRoute({
  getParentRoute: () => root,
  path: '/windows',
  component: lazyRouteComponent(() => import('../windows/Windows')),
})

const releases = createRoute({
  getParentRoute: () => root,
  path: '/releases',
  component: lazyRouteComponent(() => import('../releases/Releases')),
})

const operations = createRoute({
  getParentRoute: () => root,
  path: '/operations',
  component: lazyRouteComponent(() => import('../operations/Operations')),
})

const operation = createRoute({
  getParentRoute: () => root,
  path: '/operations/$id',
  component: lazyRouteComponent(() => import('../operations/OperationScreen')),
})

const alertStates: readonly (AlertState | 'all')[] = ['firing', 'pending', 'resolved', 'all']
export type AlertFilter = (typeof alertStates)[number]

const alerts = createRoute({
  getParentRoute: () => root,
  path: '/alerts',
  validateSearch: (s): { state?: AlertFilter } => ({ state: alertStates.find((a) => a === s.state) }),
  component: lazyRouteComponent(() => import('../alerts/Alerts')),
})

const rules = createRoute({
  getParentRoute: () => root,
  path: '/rules',
  component: lazyRouteComponent(() => import('../rules/Rules')),
})

const contacts = createRoute({
  getParentRoute: () => root,
  path: '/contacts',
  component: lazyRouteComponent(() => import('../contacts/Contacts')),
})

const sms = createRoute({
  getParentRoute: () => root,
  path: '/sms',
  component: lazyRouteComponent(() => import('../sms/SMSLog')),
})

const domains = createRoute({
  getParentRoute: () => root,
  path: '/domains',
  validateSearch: (s): { tenant?: string } => ({ tenant: typeof s.tenant === 'string' ? s.tenant : undefined }),
  component: lazyRouteComponent(() => import('../domains/Domains')),
})

const domain = createRoute({
  getParentRoute: () => root,
  path: '/domains/$domain',
  component: lazyRouteComponent(() => import('../domains/DomainScreen')),
})

const queue = createRoute({
  getParentRoute: () => root,
  path: '/queue',
  component: lazyRouteComponent(() => import('../queue/Queue')),
})

const ledger = createRoute({
  getParentRoute: () => root,
  path: '/ledger',
  validateSearch: (s): { domain?: string; account?: string } => ({
    domain: typeof s.domain === 'string' ? s.domain : undefined,
    account: typeof s.account === 'string' ? s.account : undefined,
  }),
  component: lazyRouteComponent(() => import('../ledger/Ledger')),
})

const accounts = createRoute({
  getParentRoute: () => root,
  path: '/accounts',
  validateSearch: (s): { domain?: string } => ({ domain: typeof s.domain === 'string' ? s.domain : undefined }),
  component: lazyRouteComponent(() => import('../accounts/Accounts')),
})

const account = createRoute({
  getParentRoute: () => root,
  path: '/accounts/$id',
  component: lazyRouteComponent(() => import('../accounts/AccountScreen')),
})

const tenants = createRoute({
  getParentRoute: () => root,
  path: '/tenants',
  component: lazyRouteComponent(() => import('../tenants/Tenants')),
})

const plans = createRoute({
  getParentRoute: () => root,
  path: '/plans',
  component: lazyRouteComponent(() => import('../plans/Plans')),
})

const people = createRoute({
  getParentRoute: () => root,
  path: '/people',
  component: lazyRouteComponent(() => import('../people/People')),
})

const person = createRoute({
  getParentRoute: () => root,
  path: '/people/$id',
  component: lazyRouteComponent(() => import('../people/PersonScreen')),
})

const tokens = createRoute({
  getParentRoute: () => root,
  path: '/tokens',
  component: lazyRouteComponent(() => import('../tokens/Tokens')),
})

const sessions = createRoute({
  getParentRoute: () => root,
  path: '/sessions',
  component: lazyRouteComponent(() => import('../sessions/Sessions')),
})

const policy = createRoute({
  getParentRoute: () => root,
  path: '/policy',
  component: lazyRouteComponent(() => import('../policy/Policy')),
})

const security = createRoute({
  getParentRoute: () => root,
  path: '/security',
  component: lazyRouteComponent(() => import('../security/Security')),
})

const audit = createRoute({
  getParentRoute: () => root,
  path: '/audit',
  component: lazyRouteComponent(() => import('../audit/Audit')),
})

const tree = root.addChildren([
  overview,
  server,
  services,
  pools,
  pool,
  windows,
  releases,
  operations,
  operation,
  alerts,
  rules,
  contacts,
  sms,
  domains,
  domain,
  queue,
  ledger,
  accounts,
  account,
  tenants,
  plans,
  people,
  person,
  tokens,
  sessions,
  policy,
  security,
  audit,
])

export function newRouter(history?: RouterHistory) {
  return createRouter({
    routeTree: tree,
    history,
    defaultPreload: 'intent',
    defaultErrorComponent: BrokenScreen,
    defaultPendingComponent: () => <Loading />,
    scrollRestoration: true,
  })
}

export type Router = ReturnType<typeof newRouter>

declare module '@tanstack/react-router' {
  interface Register {
    router: Router
  }
}
