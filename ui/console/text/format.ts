import type { Timestamp } from '../api/types'

export type Language = 'zh' | 'en'

/** A timestamp in milliseconds, or undefined for Go's zero time and nonsense. */
export function moment(t: Timestamp | undefined): number | undefined {
  const ms = t ? Date.parse(t) : Number.NaN
  return Number.isNaN(ms) || ms < 0 ? undefined : ms
}

/** Seconds of a Go duration ("1h2m3.5s"), 0 for nonsense; a number is seconds already. */
export function seconds(d: string | number): number {
  if (typeof d === 'number') return d
  const unit: Record<string, number> = { h: 3600, m: 60, s: 1, ms: 1e-3, µs: 1e-6, us: 1e-6, ns: 1e-9 }
  let sum = 0
  for (const [, n, u] of d.matchAll(/([\d.]+)(ms|µs|us|ns|h|m|s)/g)) sum += Number(n) * (unit[u ?? ''] ?? 0)
  return sum
}

/** The name of an actor: "admin" of "operator:admin". */
export const actorName = (actor: string) => actor.slice(actor.indexOf(':') + 1)

/** Orders names as people do: mail-2 before mail-10. */
export function byName(a: string, b: string): number {
  const x = a.split(/(\d+)/)
  const y = b.split(/(\d+)/)
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    const [p = '', q = ''] = [x[i], y[i]]
    const order = i % 2 === 1 ? Number(p) - Number(q) : p < q ? -1 : Number(p > q)
    if (order !== 0) return order
  }
  return x.length - y.length
}

const binary = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
const units = [
  { size: 86400, zh: '天', en: 'd' },
  { size: 3600, zh: '小时', en: 'h' },
  { size: 60, zh: '分', en: 'min' },
  { size: 1, zh: '秒', en: 's' },
] as const

const two = (n: number) => String(n).padStart(2, '0')

/**
 * Numbers, sizes and times. Both languages write figures and dates alike, so
 * that columns align; Intl would cost tens of milliseconds for each format.
 */
export class Format {
  readonly language: Language

  constructor(language: Language) {
    this.language = language
  }

  number(v: number, digits = 0): string {
    const [whole = '', rest] = v.toFixed(digits).split('.')
    const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',')
    return rest === undefined ? grouped : `${grouped}.${rest}`
  }

  /** A plain figure with as many decimals as it deserves. */
  figure(v: number): string {
    const size = Math.abs(v)
    return this.number(v, Number.isInteger(v) || size >= 100 ? 0 : size >= 10 ? 1 : 2)
  }

  percent(v: number): string {
    return `${this.number(v, Math.abs(v) < 10 && !Number.isInteger(v) ? 1 : 0)}%`
  }

  /** Bytes in binary units: 1.5 GiB. */
  bytes(v: number): string {
    let i = 0
    let n = v
    while (Math.abs(n) >= 1024 && i < binary.length - 1) {
      n /= 1024
      i++
    }
    return `${this.number(n, i === 0 || Math.abs(n) >= 100 ? 0 : 1)} ${binary[i]}`
  }

  /** Bytes a second. */
  rate(v: number): string {
    return `${this.bytes(v)}/s`
  }

  /** A length of time in its two largest units: "2 小时 5 分", "2 h 5 min". */
  duration(secs: number): string {
    const parts: string[] = []
    let rest = Math.round(Math.abs(secs))
    for (const unit of units) {
      const n = Math.floor(rest / unit.size)
      rest -= n * unit.size
      if (n > 0) parts.push(`${n} ${unit[this.language]}`)
      else if (parts.length > 0) break
      if (parts.length === 2) break
    }
    return parts.join(' ') || (this.language === 'zh' ? '0 秒' : '0 s')
  }

  /** How long ago, or how far ahead: "5 分钟前", "in 3 h". */
  ago(at: number, now: number): string {
    const secs = Math.round((at - now) / 1000)
    const unit = units.find((u) => Math.abs(secs) >= u.size)
    if (!unit) return this.language === 'zh' ? '刚刚' : 'now'
    const n = Math.floor(Math.abs(secs) / unit.size)
    if (this.language === 'zh') return `${n} ${unit.size === 60 ? '分钟' : unit.zh}${secs < 0 ? '前' : '后'}`
    return secs < 0 ? `${n} ${unit.en} ago` : `in ${n} ${unit.en}`
  }

  /** Date and time, to the second, in the reader's time zone. */
  time(at: number): string {
    const d = new Date(at)
    return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${this.clock(at)}:${two(d.getSeconds())}`
  }

  clock(at: number): string {
    const d = new Date(at)
    return `${two(d.getHours())}:${two(d.getMinutes())}`
  }

  day(at: number): string {
    const d = new Date(at)
    return `${two(d.getMonth() + 1)}-${two(d.getDate())}`
  }
}
