import type { Server } from '../api/types'
import { group } from '../live/group'
import type { Latest, ServerReadings } from '../live/readings'
import { type Column, Rows } from '../parts/DataTable'
import { Section } from '../parts/Screen'
import { useText } from '../text/language'
import { useServerReadings } from './data'

interface FileSystem {
  id: string
  device: string
  values: Record<string, number>
}

function fileSystems(readings: ServerReadings): FileSystem[] {
  const disks = [...readings.values()].filter((l: Latest) => l.metric.startsWith('disk_') && l.tags.mount)
  return [...group(disks, (l) => l.tags.mount ?? '')]
    .map(([mount, list]) => ({
      id: mount,
      device: list[0]?.tags.device ?? '',
      values: Object.fromEntries(list.map((l) => [l.metric.slice('disk_'.length), l.value])),
    }))
    .sort((a, b) => a.id.localeCompare(b.id))
}

/** How full each file system is, in bytes and inodes. */
export function FileSystems({ server }: { server: Server }) {
  const { t, format } = useText()
  const rows = fileSystems(useServerReadings(server.name))
  if (rows.length === 0) return null
  const number = (head: string, field: string, write: (v: number) => string): Column<FileSystem> => ({
    head,
    number: true,
    cell: (f) => <span className="figures">{f.values[field] === undefined ? '—' : write(f.values[field])}</span>,
  })
  const bytes = (v: number) => format.bytes(v)
  const count = (v: number) => format.number(v)
  const percent = (v: number) => format.percent(v)
  const columns: Column<FileSystem>[] = [
    { head: t('fs.mount'), cell: (f) => <b>{f.id}</b> },
    { head: t('fs.device'), cell: (f) => <span className="dim">{f.device || '—'}</span> },
    number(t('fs.used_percent'), 'used_percent', percent),
    number(t('fs.used'), 'used', bytes),
    number(t('fs.free'), 'free', bytes),
    number(t('fs.total'), 'total', bytes),
    number(t('fs.inodes_used_percent'), 'inodes_used_percent', percent),
    number(t('fs.inodes_used'), 'inodes_used', count),
    number(t('fs.inodes_free'), 'inodes_free', count),
    number(t('fs.inodes_total'), 'inodes_total', count),
  ]
  return (
    <Section title={t('fs.title')}>
      <Rows label={t('fs.title')} columns={columns} rows={rows} />
    </Section>
  )
}
