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
  component: lazyRouteComponent(() => import('../domains/Domains')),
})

const accounts = createRoute({
  getParentRoute: () => root,
  path: '/accounts',
  validateSearch: (s): { domain?: string } => ({ domain: typeof s.domain === 'string' ? s.domain : undefined }),
  component: lazyRouteComponent(() => import('../accounts/Accounts')),
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
  operations,
  operation,
  alerts,
  rules,
  contacts,
  sms,
  domains,
  accounts,
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
