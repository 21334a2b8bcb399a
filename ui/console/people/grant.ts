import type { Role, Session } from '../api/types'

/** Where a role can hold. */
export type Place = 'fleet' | 'tenant' | 'domain' | 'account'

/** Every role, those who may most first. */
export const roles: Role[] = ['operator', 'viewer', 'auditor', 'reseller', 'domain-admin', 'helpdesk', 'user']

const everywhere: Place[] = ['fleet', 'tenant', 'domain', 'account']

const places: Record<Role, Place[]> = {
  operator: everywhere,
  viewer: everywhere,
  auditor: everywhere,
  reseller: ['tenant'],
  'domain-admin': ['domain', 'tenant'],
  helpdesk: ['domain', 'tenant'],
  user: ['account'],
}

/**
 * The roles that the signed-in person can give: those that may do nothing
 * they may not themselves. The controller decides; this keeps the choice short.
 */
export function grantable(session: Session): Role[] {
  switch (session.role) {
    case 'operator':
      return roles
    case 'reseller':
      return ['reseller', 'domain-admin', 'helpdesk', 'user']
    case 'domain-admin':
      return ['domain-admin', 'helpdesk', 'user']
    default:
      return [session.role]
  }
}

/** Where the signed-in person can let a role hold. */
export function placesOf(role: Role, session: Session): Place[] {
  const fleet = session.scope.length === 0 || session.scope.includes('fleet')
  const seen = (p: Place) => (p === 'fleet' ? fleet : session.rights.includes(`${p}s:read`))
  return places[role].filter(seen)
}

/** A part of a scope as a form has it. */
export interface Part {
  id: number
  place: Place
  name: string
}

let next = 0

/** A part for a form, with an id of its own there. */
export const part = (place: Place, name = ''): Part => ({ id: next++, place, name })

/** A scope's parts: "domain:example.test" is the domain example.test; no part at all is the fleet. */
export function partsOf(scope: readonly string[] = []): Part[] {
  if (scope.length === 0) return [part('fleet')]
  return scope.map((s) => {
    const [place = '', name = ''] = s.split(/:(.*)/)
    return part(place as Place, name)
  })
}

/** The scope of a form's parts, as the API takes it. */
export function scopeOf(parts: Part[]): string[] {
  if (parts.some((p) => p.place === 'fleet')) return ['fleet']
  return parts.map((p) => `${p.place}:${p.name.trim()}`)
}
