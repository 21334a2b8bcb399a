import { Link } from '@tanstack/react-router'
import type { Ledger, LedgerEntry } from '../api/types'
import { type Column, Rows } from '../parts/DataTable'
import { useText } from '../text/language'
import { figures } from './data'

type Line = LedgerEntry & { id: string; sum?: boolean }

/** What was sent and got, line by line, the sum of all last. */
export function LedgerTable({ pages }: { pages: Ledger[] }) {
  const { t, format } = useText()
  const columns: Column<Line>[] = [
    { head: t('ledger.of'), wide: true, cell: (e) => <Of line={e} /> },
    ...figures.map(
      (f): Column<Line> => ({
        head: t(`ledger.${f}`),
        number: true,
        cell: (e) => (
          <span className="figures" data-failed={f === 'failed' && e[f] > 0}>
            {f.endsWith('bytes') ? format.bytes(e[f]) : format.number(e[f])}
          </span>
        ),
      }),
    ),
  ]
  const lines: Line[] = pages.flatMap((p) => p.items).map((e) => ({ ...e, id: `${e.day} ${e.domain} ${e.account}` }))
  if (lines.length > 1 && pages[0]) lines.push({ ...pages[0].total, id: 'sum', sum: true })
  return <Rows label={t('ledger.table')} columns={columns} rows={lines} />
}

/** What a line is about. */
function Of({ line }: { line: Line }) {
  const { t } = useText()
  if (line.sum) return <b>{t('ledger.total')}</b>
  if (line.day) return <span className="figures">{line.day}</span>
  if (line.domain)
    return line.domain === '-' ? (
      t('ledger.noDomain')
    ) : (
      <Link to="/ledger" search={{ domain: line.domain }}>
        {line.domain}
      </Link>
    )
  if (!line.account) return t('ledger.noAccount')
  return (
    <Link to="/ledger" search={{ account: line.address ?? line.account }}>
      {line.address ?? line.account}
    </Link>
  )
}
