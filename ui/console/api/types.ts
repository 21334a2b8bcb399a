import type { components } from './schema'

// The JSON of the controller's API under the names the console knows it by.
// schema.d.ts is generated from the controller's OpenAPI by `npm run api`.

type Schemas = components['schemas']

/** A moment, RFC 3339. Go's zero time means "never"; read it with `moment`. */
export type Timestamp = string

/** What every stored thing has. */
export type Meta = Pick<Schemas['Rule'], 'id' | 'version' | 'created' | 'updated'>

export interface Page<T> {
  items: T[]
  next: string
}

export type Sentence = Schemas['Sentence']
export type Server = Schemas['Server']
export type Enrolment = Schemas['Enrolment']
export type Service = Schemas['Service']
export type Operation = Schemas['Operation']
export type NewOperation = Schemas['NewOperation']
export type Step = Schemas['Step']
export type Release = Schemas['Release']
export type TrustedKeys = Schemas['TrustedKeys']
export type Impact = Schemas['Impact']
export type Target = Schemas['NewTarget']
export type Rule = Schemas['Rule']
export type NewRule = Schemas['NewRule']
export type Contact = Schemas['Contact']
export type Alert = Schemas['Alert']
export type SMS = Schemas['SMS']
export type AuditEntry = Schemas['AuditEntry']
export type AuditCheck = Schemas['AuditCheck']
export type Domain = Schemas['Domain']
export type DomainRecords = Schemas['DomainRecords']
export type DNSRecord = Schemas['DNSRecord']
export type NewDomainMail = Schemas['NewDomainMail']
export type Hook = Schemas['Hook']
export type IssuedHook = Schemas['IssuedHook']
export type Group = Schemas['Group']
export type DKIMKey = Schemas['DKIMKey']
export type NewDKIMKey = Schemas['NewDKIMKey']
export type Account = Schemas['Account']
export type Session = Schemas['Session']
export type Providers = Schemas['Providers']
export type NewTOTP = Schemas['NewTOTP']
export type RecoveryCodes = Schemas['RecoveryCodes']
export type Person = Schemas['Person']
export type NewPersonMade = Schemas['NewPersonMade']
export type PersonChange = Schemas['PersonChange']
export type Tenant = Schemas['Tenant']
export type Plan = Schemas['Plan']
export type Limits = Schemas['Limits']
export type Terms = Schemas['Terms']
export type Policy = Schemas['Policy']
export type Token = Schemas['Token']
export type IssuedToken = Schemas['IssuedToken']
export type LiveSession = Schemas['LiveSession']
export type LiveSessions = Schemas['LiveSessions']
export type AccountMailboxes = Schemas['AccountMailboxes']
export type Mailbox = Schemas['Mailbox']
export type MailSignIn = Schemas['MailSignIn']
export type MailSignIns = Schemas['MailSignIns']
export type EndedSessions = Schemas['EndedSessions']
export type AccountTerms = Schemas['AccountTerms']
export type AppPassword = Schemas['AppPassword']
export type IssuedAppPassword = Schemas['IssuedAppPassword']
export type Status = Schemas['Status']
export type Reading = Schemas['Reading']
export type Log = Schemas['Log']
export type LogLine = Schemas['LogLine']
export type Crash = Schemas['Crash']
export type NewService = Schemas['NewService']
export type ServiceConfig = Schemas['ServiceConfig']
export type Probe = Schemas['Probe']
export type Power = Schemas['Power']
export type NewPower = Schemas['NewPower']
export type PowerStatus = Schemas['PowerStatus']
export type Preflight = Schemas['Preflight']
export type Check = Schemas['Check']
export type Pool = Schemas['Pool']
export type NewPool = Schemas['NewPool']
export type MaintenanceWindow = Schemas['Window']
export type Change = Schemas['Event']
export type FreshSamples = Schemas['FreshSamples']
export type Problem = Schemas['Problem']

export type ServerState = Server['state']
export type ServiceState = Service['state']
export type OperationState = Operation['state']
export type OperationKind = Operation['kind']
export type CheckState = Check['state']
export type PowerState = PowerStatus['state']
export type PowerKind = NewPower['kind']
export type Severity = Rule['severity']
export type Comparison = Rule['comparison']
export type AlertState = Alert['state']
export type SMSState = SMS['state']
export type Role = Session['role']
export type AccountState = Account['state']

/** [unix seconds, value]; OpenAPI cannot say that there are two. */
export type Point = [time: number, value: number]
export type Series = Omit<Schemas['Series'], 'points'> & { points: Point[] }
export type Samples = Omit<Schemas['Samples'], 'series'> & { series: Series[] }
