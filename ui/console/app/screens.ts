import type { Session } from '../api/types'

/**
 * The resource of the API that each screen shows, by the first part of its
 * path: who may not read it has no such screen. The screens that are not here
 * are everybody's.
 */
const resources: Record<string, string> = {
  '': 'servers',
  servers: 'servers',
  services: 'services',
  operations: 'operations',
  pools: 'pools',
  windows: 'windows',
  releases: 'releases',
  alerts: 'alerts',
  rules: 'rules',
  contacts: 'contacts',
  sms: 'sms',
  tenants: 'tenants',
  domains: 'domains',
  accounts: 'accounts',
  queue: 'queue',
  ledger: 'ledger',
  plans: 'plans',
  people: 'people',
  tokens: 'tokens',
  sessions: 'sessions',
  policy: 'policy',
  audit: 'audit',
}

/** Whether the person has the screen at a path. */
export function hasScreen(session: Session, path: string): boolean {
  const resource = resources[path.split('/')[1] ?? '']
  return !resource || session.rights.includes(`${resource}:read`)
}

const homes = ['/', '/tenants', '/domains', '/accounts', '/sessions'] as const

/** The first screen that the person has. */
export const homeOf = (session: Session) => homes.find((path) => hasScreen(session, path)) ?? '/security'
