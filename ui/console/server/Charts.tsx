import { Skeleton } from '@mantine/core'
import { useMemo } from 'react'
import type { Point, Series, Server } from '../api/types'
import type { Range } from '../charts/ranges'
import { type Line, TimeChart } from '../charts/TimeChart'
import { Empty, Failure } from '../parts/Feedback'
import { useText } from '../text/language'
import { type Unit, useFieldName } from '../text/metrics'
import { useSamples } from './data'

interface Group {
  name: 'load' | 'cpu' | 'memory' | 'swap' | 'disk' | 'inodes' | 'network' | 'mail'
  unit: Unit
  metrics: string[]
  stacked?: boolean
  /** What the values are multiplied with: 60 for per minute. */
  times?: number
}

const groups: Group[] = [
  {
    name: 'cpu',
    unit: 'percent',
    metrics: ['cpu_user', 'cpu_system', 'cpu_nice', 'cpu_iowait', 'cpu_steal', 'cpu_idle'],
    stacked: true,
  },
  { name: 'load', unit: 'figure', metrics: ['load_load1', 'load_load5', 'load_load15'] },
  { name: 'memory', unit: 'bytes', metrics: ['mem_total', 'mem_used', 'mem_free', 'mem_cached', 'mem_buffers'] },
  { name: 'swap', unit: 'bytes', metrics: ['swap_total', 'swap_used', 'swap_free', 'swap_cached', 'swap_shared'] },
  { name: 'network', unit: 'rate', metrics: ['net_bytes_recv', 'net_bytes_sent'] },
  {
    name: 'mail',
    unit: 'figure',
    metrics: [
      'mailnode_smtp_accepted',
      'mailnode_smtp_rejected',
      'mailnode_messages_delivered',
      'mailnode_pop3_retrieved',
    ],
    times: 60,
  },
  { name: 'disk', unit: 'percent', metrics: ['disk_used_percent'] },
  { name: 'inodes', unit: 'percent', metrics: ['disk_inodes_used_percent'] },
]

/** Where a series belongs on its server: its mount, interface or device. */
const place = (s: Series) => s.tags.mount ?? s.tags.interface ?? s.tags.device ?? ''

/** All that is sampled of a server, as charts with one cursor. */
export function Charts({ server, range }: { server: Server; range: Range }) {
  const { t } = useText()
  const samples = useSamples(server.id, server.name, range)
  const fieldName = useFieldName()
  const data = samples.data
  // biome-ignore lint/correctness/useExhaustiveDependencies: the names follow the language
  const charts = useMemo(
    () => groups.map((g) => ({ ...g, lines: linesOf(g, data?.series ?? [], fieldName) })),
    [data, t],
  )

  if (samples.isPending)
    return (
      <div className="charts">
        {groups.map((g) => (
          <Skeleton key={g.name} height={260} radius="sm" />
        ))}
      </div>
    )
  if (!data) return <Failure error={samples.error} retry={() => samples.refetch()} />
  if (data.series.every((s) => s.points.length === 0))
    return (
      <Empty title={t('chart.empty')}>
        <p>{t('chart.emptyText')}</p>
      </Empty>
    )
  return (
    <>
      {samples.error && <Failure error={samples.error} retry={() => samples.refetch()} />}
      <div className="charts" data-old={samples.isPlaceholderData}>
        {charts.map(
          (c) =>
            c.lines.length > 0 && (
              <TimeChart
                key={c.name}
                title={t(`chart.${c.name}`)}
                unit={c.unit}
                lines={c.lines}
                from={data.from}
                to={data.to}
                step={data.step}
                stacked={c.stacked}
              />
            ),
        )}
      </div>
    </>
  )
}

/** The series of a group as named lines; a place is named where there are several. */
function linesOf(group: Group, series: Series[], fieldName: (m: string) => string): Line[] {
  const { times = 1 } = group
  return group.metrics.flatMap((metric) => {
    const found = series.filter((s) => s.metric === metric && s.points.length > 0)
    found.sort((a, b) => Number(place(a) === 'lo') - Number(place(b) === 'lo') || place(a).localeCompare(place(b)))
    return found.map((s) => {
      const where = place(s)
      const name = group.metrics.length === 1 && where ? '' : fieldName(metric)
      const points = times === 1 ? s.points : s.points.map(([t, v]): Point => [t, v * times])
      return { label: [where, name].filter(Boolean).join(' '), points }
    })
  })
}
