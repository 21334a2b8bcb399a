import type { Limits } from '../api/types'

/** The limits, in the order people see them; bytes are typed in MiB. */
export const limits = [
  { name: 'quota', bytes: true },
  { name: 'messages', bytes: false },
  { name: 'message_size', bytes: true },
  { name: 'attachment', bytes: true },
  { name: 'recipients', bytes: false },
  { name: 'sent_a_day', bytes: false },
  { name: 'sent_an_hour', bytes: false },
  { name: 'messages_an_hour', bytes: false },
  { name: 'sms_a_month', bytes: false },
] as const satisfies { name: keyof Limits; bytes: boolean }[]

export type Limit = (typeof limits)[number]

const mebi = 2 ** 20

/** Limits as a form has them: what is typed; empty: none of its own. */
export type LimitDraft = Record<keyof Limits, string>

export function limitDraft(of: Limits = {}): LimitDraft {
  const typed = limits.map(({ name, bytes }) => {
    const n = of[name]
    return [name, n ? String(bytes ? n / mebi : n) : '']
  })
  return Object.fromEntries(typed)
}

/** What a form says, as the API takes it. */
export function limitsOf(draft: LimitDraft): Limits {
  const said = limits.flatMap(({ name, bytes }) => {
    const n = Number(draft[name])
    return n > 0 ? [[name, Math.round(bytes ? n * mebi : n)]] : []
  })
  return Object.fromEntries(said)
}

/** Feature switches; one that is not there is as the next wider one has it. */
export type Switches = Record<string, boolean>

/** The features, in the order people see them. */
export const features = [
  'smtp',
  'pop3',
  'imap',
  'webmail',
  'forward',
  'sms',
  'antispam',
  'antivirus',
  'collect',
  'disk',
  'calendar',
] as const
