import type { Role } from '../console/api/types.ts'

const roles: Role[] = ['operator', 'viewer', 'auditor', 'reseller', 'domain-admin', 'helpdesk', 'user']

/** The controller's table of rights (controller/auth/rights.go) as far as the console asks. */
const table = `
  status       r  r  r  -  -  -   -
  servers      rw r  r  -  -  -   -
  services     rw r  r  -  -  -   -
  powers       rw r  r  -  -  -   -
  releases     rw r  r  -  -  -   -
  preflights   r  r  r  -  -  -   -
  samples      rw r  r  -  -  -   -
  operations   rw r  r  -  -  -   -
  pools        rw r  r  -  -  -   -
  windows      rw r  r  -  -  -   -
  rules        rw r  r  -  -  -   -
  contacts     rw r  r  -  -  -   -
  alerts       rw r  r  -  -  -   -
  sms          rw r  r  -  -  -   -
  tenants      rw r  r  rw -  -   -
  plans        rw r  r  rw r  r   -
  domains      rw r  r  rw rc r   -
  queue        rw r  r  rsd rsd rs  -
  queued-messages r - - - - - -
  ledger       r  r  r  r  r  r   -
  groups       rw r  r  rw rw r   -
  dkim-keys    rw r  r  rw rw r   -
  accounts     rw r  r  rw rw rsp rp
  people       rw -  r  rw rw -   -
  policy       rw r  r  r  r  r   r
  tokens       rw -  r  rw rw -   -
  sessions     rw r  r  rw rw r   rw
  audit        r  -  r  r  r  -   -
  audit-chain  r  -  r  -  -  -   -
  session      rw rw rw rw rw rw  rw`

const verbs = ['read', 'write', 'change', 'suspend', 'delete', 'password']

/** The rights of a role as a session has them. */
export function rightsOf(role: Role): string[] {
  return table
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [resource = '', ...cells] = line.trim().split(/\s+/)
      const cell = cells[roles.indexOf(role)] ?? '-'
      return verbs
        .filter((v) => cell.includes(v[0] ?? '') || (v !== 'read' && cell.includes('w')))
        .map((v) => `${resource}:${v}`)
    })
}
