import { Link } from '@tanstack/react-router'
import type { List } from '../api/queries'
import type { Operation } from '../api/types'
import { useFreshness } from '../live/Live'
import { type Column, DataTable } from '../parts/DataTable'
import { Empty } from '../parts/Feedback'
import { State } from '../parts/State'
import { Ago } from '../parts/Time'
import { actorName } from '../text/format'
import { useText } from '../text/language'
import { useOperationText } from './data'
import { Progress } from './Progress'

/** Operations, newest first. */
export function OperationTable({ list }: { list: List<Operation> }) {
  const { t } = useText()
  const text = useOperationText()
  const stale = useFreshness() === 'lost'
  const columns: Column<Operation>[] = [
    {
      head: t('operation.what'),
      wide: true,
      cell: (o) => (
        <Link to="/operations/$id" params={{ id: o.id }} className="row-link">
          {text(o)}
        </Link>
      ),
    },
    { head: t('operation.state'), cell: (o) => <State of="operation" state={o.state} stale={stale} /> },
    { head: t('operation.progress'), cell: (o) => <Progress operation={o} /> },
    { head: t('operation.actor'), cell: (o) => actorName(o.actor) },
    { head: t('operation.reason'), cell: (o) => o.reason || <span className="dim">—</span> },
    { head: t('operation.created'), cell: (o) => <Ago at={o.created} /> },
  ]
  return (
    <DataTable
      label={t('nav.operations')}
      columns={columns}
      list={list}
      empty={
        <Empty title={t('operation.none')}>
          <p>{t('operation.noneText')}</p>
        </Empty>
      }
    />
  )
}
