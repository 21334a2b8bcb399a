import type { DKIMKey, DNSRecord, Domain, Group, NewDomainMail } from '../console/api/types.ts'
import { type Answer, ok, refuse } from './answers.ts'
import type { Fleet } from './fleet.ts'

/** Fills a fleet with where the mail of its domain goes and what it is signed with. */
export function addressed(fleet: Fleet): void {
  const domain = 'example.test'
  const group = (local: string, members: string[], writers = 'anyone'): Group => ({
    ...fleet.meta(),
    address: `${local}@${domain}`,
    domain,
    name: '',
    members,
    writers,
  })
  fleet.tables.groups.push(group('sales', ['user1@example.test']))
  fleet.tables.groups.push(group('all', ['user1@example.test', 'user2@example.test'], 'domain'))
  const key = (selector: string, algorithm: string, state: string): DKIMKey => ({
    ...fleet.meta(),
    domain,
    selector,
    algorithm,
    state,
    since: new Date(Date.now() - 90 * 8.64e7).toISOString(),
    record: `v=DKIM1; k=rsa; p=${'MIIBIjANBgkqhkiG9w0BAQ'.repeat(4)}`,
  })
  fleet.tables['dkim-keys'].push(key('r2601', 'rsa-sha256', 'active'), key('e2601', 'ed25519-sha256', 'next'))
}

/** What the fake knows of one domain; undefined for the rest. */
export function ofDomain(
  fleet: Fleet,
  method: string,
  [ref, sub, id]: string[],
  checked: boolean,
  body: unknown,
): Answer | undefined {
  const domain = fleet.tables.domains.find((d) => d.id === ref || d.name === ref)
  if (!domain) return refuse(404, `there is no domain "${ref}"`)
  if (!sub) return method === 'GET' ? ok(domain) : undefined
  if (sub === 'records') return ok({ domain: domain.name, records: recordsOf(fleet, domain, checked) })
  const mail = domain.mail ?? {}
  if (sub === 'mail') {
    const { route_password, ...given } = body as NewDomainMail
    domain.mail = { ...given, hooks: mail.hooks }
    if (given.route) domain.mail.route = { ...given.route, has_password: route_password !== undefined }
  } else if (method === 'DELETE') {
    domain.mail = { ...mail, hooks: mail.hooks?.filter((h) => h.id !== id) }
  } else {
    const hook = { ...(body as { url: string }), id: crypto.randomUUID() }
    domain.mail = { ...mail, hooks: [...(mail.hooks ?? []), hook] }
    fleet.changed('domains', 'updated', domain)
    return { status: 201, body: { ...hook, secret: 'SHOWNONCESHOWNONCE' } }
  }
  fleet.changed('domains', 'updated', domain)
  return ok(domain)
}

function recordsOf(fleet: Fleet, { name }: Domain, checked: boolean): DNSRecord[] {
  const record = (
    purpose: DNSRecord['purpose'],
    type: DNSRecord['type'],
    at: string,
    value: string,
    state: DNSRecord['state'],
    found: string[] = [],
  ): DNSRecord => ({
    purpose,
    type,
    zone: `${at}. IN ${type} ${value}`,
    needed: purpose !== 'dmarc',
    name: at,
    value,
    state: checked ? state : 'unchecked',
    found: checked ? found : [],
  })
  return [
    record('mx', 'MX', name, '10 mail-hk-1.', 'right'),
    record('spf', 'TXT', name, 'v=spf1 ip4:192.0.2.10 -all', 'different', ['v=spf1 -all']),
    ...fleet.tables['dkim-keys'].map((k) =>
      record('dkim', 'TXT', `${k.selector}._domainkey.${name}`, k.record, k.state === 'active' ? 'right' : 'missing'),
    ),
    record('dmarc', 'TXT', `_dmarc.${name}`, `v=DMARC1; p=none; rua=mailto:postmaster@${name}`, 'unknown'),
  ]
}
