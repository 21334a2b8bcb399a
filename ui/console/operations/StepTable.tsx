import { Link } from '@tanstack/react-router'
import { useServerName } from '../api/queries'
import type { Operation, Step } from '../api/types'
import { useFreshness } from '../live/Live'
import { useNow } from '../live/now'
import { type Column, Rows } from '../parts/DataTable'
import { State } from '../parts/State'
import { At } from '../parts/Time'
import { moment } from '../text/format'
import { useText } from '../text/language'

interface StepTableProps {
  label: string
  operation: Operation
  steps: Step[]
}

/** The steps of an operation: on what, how each went, and what its agent told of it. */
export function StepTable({ label, operation, steps }: StepTableProps) {
  const { t } = useText()
  const stale = useFreshness() === 'lost'
  const serverName = useServerName()
  const batches = steps.some((s) => s.batch > 0)
  const acts = steps.some((s) => s.kind)
  const columns: Column<Step>[] = [
    {
      head: t('operation.target'),
      cell: (s) => (
        <>
          <Link to="/servers/$server" params={{ server: serverName(s.target.server) }}>
            {serverName(s.target.server)}
          </Link>{' '}
          {s.target.service}
        </>
      ),
    },
    { head: t('operation.state'), cell: (s) => <State of="operation" state={s.state} stale={stale} /> },
    { head: t('operation.message'), wide: true, cell: (s) => <Result step={s} /> },
    { head: t('operation.started'), cell: (s) => <At at={s.started} /> },
    { head: t('operation.took'), number: true, cell: (s) => <Took step={s} /> },
  ]
  if (acts) {
    const act = (s: Step) => t(`act.${s.kind ?? operation.kind}`, { defaultValue: s.kind })
    columns.unshift({ head: t('operation.act'), cell: act })
  }
  if (batches)
    columns.unshift({
      head: t('operation.batch'),
      number: true,
      cell: (s) => <span className="figures">{s.batch + 1}</span>,
    })
  return <Rows label={label} columns={columns} rows={steps} />
}

function Took({ step }: { step: Step }) {
  const { format } = useText()
  const now = useNow()
  const started = moment(step.started)
  if (started === undefined) return <span className="dim">—</span>
  const seconds = ((moment(step.ended) ?? Math.max(now, started)) - started) / 1000
  return <span className="figures">{format.duration(seconds)}</span>
}

/** What came of a step; its log unfolds, and is unfolded where something went wrong. */
function Result({ step }: { step: Step }) {
  const { t, say, format } = useText()
  const lines = step.log ?? []
  return (
    <div className="step-result">
      {step.message ? <p>{say(step.message, step.said)}</p> : lines.length === 0 && <span className="dim">—</span>}
      {lines.length > 0 && (
        <details open={step.state === 'failed' || step.state === 'unknown'}>
          <summary>{t('operation.log', { count: lines.length })}</summary>
          <ol className="step-log">
            {lines.map((line, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: lines are only ever added at the end
              <li key={i}>
                <time dateTime={line.time}>{format.time(Date.parse(line.time)).slice(11)}</time>
                <span>{say(line.text, line.said)}</span>
              </li>
            ))}
          </ol>
        </details>
      )}
    </div>
  )
}
