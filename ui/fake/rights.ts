import type { Role } from '../console/api/types.ts'

/** What of the fleet the fake's roles read; only the operator changes any of it. */
const fleet = [
  'status servers services powers releases preflights samples operations pools windows',
  'rules contacts alerts sms tenants plans domains accounts policy',
].flatMap((line) => line.split(' '))

const read = (resources: string[]) => resources.map((r) => `${r}:read`)
const write = (resources: string[]) => resources.flatMap((r) => [`${r}:read`, `${r}:write`])

/** The rights of a role as a session has them: enough of the controller's table for the console's tests. */
export function rightsOf(role: Role): string[] {
  switch (role) {
    case 'operator':
      return [...write([...fleet, 'people', 'tokens', 'sessions']), ...read(['audit', 'audit-chain'])]
    case 'viewer':
      return read([...fleet, 'sessions'])
    case 'auditor':
      return read([...fleet, 'people', 'tokens', 'sessions', 'audit', 'audit-chain'])
    case 'reseller':
      return [...write(['tenants', 'plans', 'domains', 'accounts', 'people', 'tokens', 'sessions']), ...read(['audit'])]
    case 'domain-admin':
      return [...write(['accounts', 'people', 'tokens', 'sessions']), ...read(['plans', 'domains', 'audit'])]
    case 'helpdesk':
      return read(['plans', 'domains', 'accounts', 'sessions'])
    case 'user':
      return write(['sessions'])
  }
}
