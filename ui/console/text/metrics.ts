import type { Format } from './format'
import { useText } from './language'

/** The metrics every agent sends; services add their own. */
export const knownMetrics = [
  'server_up',
  'load_load1 load_load5 load_load15',
  'cpu_user cpu_system cpu_nice cpu_idle cpu_iowait cpu_steal',
  'mem_used_percent mem_total mem_used mem_free mem_available mem_cached mem_buffers mem_shared',
  'swap_used_percent swap_total swap_used swap_free swap_cached swap_shared',
  'disk_used_percent disk_total disk_used disk_free',
  'disk_inodes_used_percent disk_inodes_total disk_inodes_used disk_inodes_free',
  'net_bytes_recv net_bytes_sent',
  'mailnode_account_burst mailnode_accounts_held',
  'mailnode_smtp_logins mailnode_smtp_login_failures mailnode_pop3_logins mailnode_pop3_login_failures',
  'mailnode_imap_logins mailnode_imap_login_failures',
].flatMap((line) => line.split(' '))

export type Unit = 'percent' | 'bytes' | 'rate' | 'figure'

/** What a metric is counted in, told by its name. */
export function unitOf(metric: string): Unit {
  if (metric.endsWith('_percent') || metric.startsWith('cpu_')) return 'percent'
  if (metric.includes('_inodes_')) return 'figure'
  return /^(mem|swap|disk|net_bytes)_/.test(metric) ? 'bytes' : 'figure'
}

export function write(format: Format, unit: Unit, value: number): string {
  return format[unit](value)
}

/** Names the part of a metric after its measurement: "used" of mem_used. */
export function useFieldName(): (metric: string) => string {
  const { t } = useText()
  return (metric) => {
    const field = metric.slice(metric.indexOf('_') + 1)
    return t(`field.${field}` as 'field.used', { defaultValue: field })
  }
}

/** Names a metric for people; one without a known name stays as it is. */
export function useMetricName(): (metric: string) => string {
  const { t } = useText()
  return (metric) => t(`metric.${metric}` as 'metric.load_load1', { defaultValue: metric })
}
