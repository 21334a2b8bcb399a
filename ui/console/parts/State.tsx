import type {
  AccountState,
  AlertState,
  CheckState,
  DNSRecord,
  OperationState,
  PowerState,
  ServerState,
  ServiceState,
  Severity,
  SMSState,
} from '../api/types'
import type { PersonState } from '../people/state'
import { useText } from '../text/language'
import { Glyph, type GlyphName } from './Glyph'

/** What a colour means: the same everywhere. */
export type Tone = 'good' | 'warn' | 'bad' | 'busy' | 'idle'

type Look = readonly [Tone, GlyphName]

const looks = {
  server: {
    joining: ['busy', 'waiting'],
    up: ['good', 'up'],
    suspect: ['warn', 'warning'],
    down: ['bad', 'down'],
    removed: ['idle', 'removed'],
  } satisfies Record<ServerState, Look>,
  service: {
    unknown: ['idle', 'unknown'],
    starting: ['busy', 'moving'],
    running: ['good', 'running'],
    stopping: ['busy', 'moving'],
    stopped: ['idle', 'stopped'],
    backoff: ['warn', 'warning'],
    crashed: ['bad', 'down'],
  } satisfies Record<ServiceState, Look>,
  operation: {
    queued: ['busy', 'waiting'],
    delivered: ['busy', 'waiting'],
    running: ['busy', 'moving'],
    succeeded: ['good', 'up'],
    failed: ['bad', 'down'],
    expired: ['warn', 'warning'],
    unknown: ['warn', 'unknown'],
    cancelled: ['idle', 'removed'],
  } satisfies Record<OperationState, Look>,
  alert: {
    pending: ['warn', 'waiting'],
    firing: ['bad', 'alerts'],
    resolved: ['good', 'up'],
  } satisfies Record<AlertState, Look>,
  severity: {
    info: ['busy', 'info'],
    warning: ['warn', 'warning'],
    critical: ['bad', 'down'],
  } satisfies Record<Severity, Look>,
  sms: {
    queued: ['busy', 'waiting'],
    sent: ['good', 'up_arrow'],
    delivered: ['good', 'up'],
    failed: ['bad', 'down'],
  } satisfies Record<SMSState, Look>,
  account: {
    active: ['good', 'up'],
    suspended: ['warn', 'stopped'],
  } satisfies Record<AccountState, Look>,
  person: {
    enabled: ['good', 'up'],
    renew: ['busy', 'key'],
    locked: ['warn', 'warning'],
    disabled: ['idle', 'stopped'],
  } satisfies Record<PersonState, Look>,
  check: {
    ok: ['good', 'up'],
    warning: ['warn', 'warning'],
    failed: ['bad', 'down'],
    skipped: ['idle', 'removed'],
  } satisfies Record<CheckState, Look>,
  queue: {
    waiting: ['busy', 'waiting'],
    active: ['busy', 'moving'],
    held: ['warn', 'stopped'],
    future: ['idle', 'waiting'],
  } satisfies Record<'waiting' | 'active' | 'held' | 'future', Look>,
  record: {
    unchecked: ['idle', 'waiting'],
    right: ['good', 'up'],
    missing: ['bad', 'down'],
    different: ['warn', 'warning'],
    unknown: ['warn', 'unknown'],
  } satisfies Record<DNSRecord['state'], Look>,
  key: {
    next: ['busy', 'waiting'],
    active: ['good', 'up'],
    retired: ['idle', 'removed'],
  } satisfies Record<'next' | 'active' | 'retired', Look>,
  power: {
    on: ['good', 'power'],
    off: ['idle', 'stopped'],
    unknown: ['warn', 'unknown'],
  } satisfies Record<PowerState, Look>,
  window: {
    planned: ['busy', 'waiting'],
    open: ['warn', 'windows'],
    over: ['idle', 'removed'],
  } satisfies Record<'planned' | 'open' | 'over', Look>,
} as const

type Looks = typeof looks
export type StateOf = { [K in keyof Looks]: { of: K; state: keyof Looks[K] & string } }[keyof Looks]

/** The tone of a state; idle for one that this console does not know yet. */
export function toneOf(s: StateOf): Tone {
  return (looks[s.of] as Record<string, Look>)[s.state]?.[0] ?? 'idle'
}

/** A state as colour, glyph and word. A stale one is grey and says so. */
export function State({ stale, ...s }: StateOf & { stale?: boolean }) {
  const { t } = useText()
  const [tone, glyph] = (looks[s.of] as Record<string, Look>)[s.state] ?? ['idle', 'unknown']
  const word = t(`state.${s.of}.${s.state}` as 'state.server.up', { defaultValue: s.state })
  return (
    <span className="state" data-tone={stale ? 'idle' : tone} data-state={s.state} data-stale={stale || undefined}>
      <Glyph name={stale ? 'stale' : glyph} size={14} />
      {word}
      {stale && <span className="state-stale">{t('stale.mark')}</span>}
    </span>
  )
}
