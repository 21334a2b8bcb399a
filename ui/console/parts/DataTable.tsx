import { Button } from '@mantine/core'
import type { ReactNode } from 'react'
import type { List } from '../api/queries'
import type { Meta } from '../api/types'
import { useText } from '../text/language'
import { Failure, Loading } from './Feedback'

export interface Column<T> {
  head: string
  cell: (row: T) => ReactNode
  /** Numbers are aligned to the right. */
  number?: boolean
  /** The head is for screen readers only, as over buttons. */
  quiet?: boolean
  /** May take the room that is left. */
  wide?: boolean
}

interface DataTableProps<T, R extends T> {
  label: string
  columns: Column<R>[]
  list: List<T>
  /** The list's things in another order, or with more to show; else they are shown as they come. */
  rows?: R[]
  empty: ReactNode
}

/** A list of the API as a table; on a phone every row is a card. */
export function DataTable<T extends Meta, R extends T = T>({
  label,
  columns,
  list,
  rows: placed,
  empty,
}: DataTableProps<T, R>) {
  const { t } = useText()
  if (list.isPending) return <Loading />
  if (!list.data) return <Failure error={list.error} retry={() => list.refetch()} />
  const rows = placed ?? (list.data.pages.flatMap((p) => p.items) as R[])
  return (
    <>
      {list.error && <Failure error={list.error} retry={() => list.refetch()} />}
      {rows.length === 0 ? empty : <Rows label={label} columns={columns} rows={rows} />}
      {list.hasNextPage && (
        <div className="more">
          <Button variant="default" size="xs" loading={list.isFetchingNextPage} onClick={() => list.fetchNextPage()}>
            {t('action.more')}
          </Button>
        </div>
      )}
    </>
  )
}

/** Rows that are at hand, in the same shape. */
export function Rows<T extends { id: string }>({
  label,
  columns,
  rows,
}: {
  label: string
  columns: Column<T>[]
  rows: T[]
}) {
  return (
    <div className="table-frame">
      <table className="table" aria-label={label}>
        <thead>
          <tr>
            {columns.map((c) => (
              <th key={c.head} scope="col" data-number={c.number} data-wide={c.wide}>
                {c.quiet ? <span className="visually-hidden">{c.head}</span> : c.head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id}>
              {columns.map((c) => (
                <td key={c.head} data-number={c.number} data-label={c.quiet ? '' : c.head}>
                  <div>{c.cell(row)}</div>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
