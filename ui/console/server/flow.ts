import type { MailFlow } from '../api/types'

// How a mailnode handles mail, between the API and the form, where everything is text.

const mebi = 2 ** 20

/** The switches of receiving, in the order people see them. */
export const switches = ['rates', 'address_caps', 'tarpit', 'early_talkers', 'greylisting'] as const

/** Those of a listener: it also may do without what the server asks of others. */
export const listenerSwitches = [...switches, 'reverse_names', 'blocklists'] as const

/** Numbers of receiving, in the order people see them. */
export const numbers = [
  'connections',
  'address_connections',
  'network_connections',
  'address_rate',
  'error_rate',
] as const

/** Those of a listener. */
export const listenerNumbers = ['connections', 'address_connections', 'network_connections'] as const

type Receiving = NonNullable<MailFlow['receiving']>
export type Listener = NonNullable<Receiving['listeners']>[number]

export interface FlowDraft {
  message_size: string
  mail_max: string
  messages_an_hour: string
  sent_an_hour: string
  brake_least: string
  brake_factor: string
  blocklists: string
  reverse_names: string
  dmarc: string
  rates: string
  address_caps: string
  tarpit: string
  early_talkers: string
  greylisting: string
  connections: string
  address_connections: string
  network_connections: string
  address_rate: string
  error_rate: string
  sealers: string
  hooks_to: string
  listeners: Listener[]
}

const text = (n: number | undefined, unit = 1) => (n ? String(n / unit) : '')
const list = (typed: string) => {
  const words = typed.split(/[\s,]+/).filter(Boolean)
  return words.length > 0 ? words : undefined
}
const number = (typed: string, unit = 1) => (Number(typed) > 0 ? Math.round(Number(typed) * unit) : undefined)

export function flowDraft(flow: MailFlow = {}): FlowDraft {
  const { receiving = {}, submission = {} } = flow
  return {
    message_size: text(flow.message_size, mebi),
    mail_max: text(flow.mail_max),
    messages_an_hour: text(submission.messages_an_hour),
    sent_an_hour: text(submission.sent_an_hour),
    brake_least: text(submission.brake_least),
    brake_factor: text(submission.brake_factor),
    blocklists: (receiving.blocklists ?? []).join('\n'),
    reverse_names: receiving.reverse_names ?? '',
    dmarc: receiving.dmarc ?? '',
    rates: receiving.rates ?? '',
    address_caps: receiving.address_caps ?? '',
    tarpit: receiving.tarpit ?? '',
    early_talkers: receiving.early_talkers ?? '',
    greylisting: receiving.greylisting ?? '',
    connections: text(receiving.connections),
    address_connections: text(receiving.address_connections),
    network_connections: text(receiving.network_connections),
    address_rate: text(receiving.address_rate),
    error_rate: text(receiving.error_rate),
    sealers: (receiving.sealers ?? []).join('\n'),
    hooks_to: (flow.hooks_to ?? []).join('\n'),
    listeners: receiving.listeners ?? [],
  }
}

/** What a form says, as the API takes it; what the form does not show stays as it was. */
export function flowOf(d: FlowDraft, before: MailFlow = {}): MailFlow {
  return {
    ...before,
    message_size: number(d.message_size, mebi),
    mail_max: number(d.mail_max),
    hooks_to: list(d.hooks_to),
    submission: {
      ...before.submission,
      messages_an_hour: number(d.messages_an_hour),
      sent_an_hour: number(d.sent_an_hour),
      brake_least: number(d.brake_least),
      brake_factor: number(d.brake_factor),
    },
    receiving: {
      ...before.receiving,
      ...(Object.fromEntries(switches.map((s) => [s, d[s] || undefined])) as Pick<
        Receiving,
        (typeof switches)[number]
      >),
      ...(Object.fromEntries(numbers.map((n) => [n, number(d[n])])) as Pick<Receiving, (typeof numbers)[number]>),
      blocklists: list(d.blocklists),
      sealers: list(d.sealers),
      reverse_names: (d.reverse_names || undefined) as Receiving['reverse_names'],
      dmarc: (d.dmarc || undefined) as Receiving['dmarc'],
      listeners: d.listeners.length > 0 ? d.listeners : undefined,
    },
  }
}
