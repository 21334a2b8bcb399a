import { Button, Checkbox } from '@mantine/core'
import { useState } from 'react'
import type { Check, Server } from '../api/types'
import { useMay } from '../app/rights'
import { useOperate } from '../operations/data'
import { Operate, type Order } from '../operations/Operate'
import { type Column, Rows } from '../parts/DataTable'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { Section } from '../parts/Screen'
import { State } from '../parts/State'
import { Ago } from '../parts/Time'
import { useTell } from '../parts/Toasts'
import { useText } from '../text/language'
import { useCheckName, usePreflight } from './data'

const order = ['failed', 'warning', 'skipped', 'ok']
const worstFirst = (a: Check, b: Check) => order.indexOf(a.state) - order.indexOf(b.state)

/** How fit a server is for its work, what to do about it, and what its agent can mend. */
export function Preflight({ server }: { server: Server }) {
  const { t } = useText()
  const tell = useTell()
  const operate = useOperate()
  const mayOperate = useMay('operations', 'write')
  const { preflight, isPending, error, refetch } = usePreflight(server.id)
  const [chosen, setChosen] = useState<string[]>([])
  const [asked, setAsked] = useState<Order>()
  const targets = [{ server: server.id }]
  const checks = preflight?.checks ?? []
  const fixes = checks.filter((c) => c.fixable && chosen.includes(c.name)).map((c) => c.name)

  return (
    <Section
      title={t('preflight.title')}
      aside={
        <div className="acts">
          {preflight && (
            <span className="dim">
              {t('preflight.checked')} <Ago at={preflight.checked} />
            </span>
          )}
          {mayOperate && fixes.length > 0 && (
            <Button size="xs" onClick={() => setAsked({ kind: 'server.tune', targets, params: { fixes } })}>
              {t('preflight.fix', { count: fixes.length })}
            </Button>
          )}
          {mayOperate && (
            <Button
              size="xs"
              variant="default"
              loading={operate.isPending}
              onClick={() => operate.mutate({ kind: 'server.preflight', targets }, { onError: tell.failed })}
            >
              {t('act.server.preflight')}
            </Button>
          )}
        </div>
      }
    >
      {isPending && <Loading rows={3} />}
      {error && <Failure error={error} retry={() => refetch()} />}
      {!isPending && !error && !preflight && <Empty title={t('preflight.none')} />}
      {preflight && <Checks checks={checks} chosen={chosen} onChoose={mayOperate ? setChosen : undefined} />}
      <Operate order={asked} onClose={() => setAsked(undefined)} />
    </Section>
  )
}

interface ChecksProps {
  checks: Check[]
  chosen: string[]
  /** Absent when nothing may be mended. */
  onChoose: ((names: string[]) => void) | undefined
}

/** What is not fine at once; what is fine unfolds. */
function Checks({ checks, chosen, onChoose }: ChecksProps) {
  const { t, say } = useText()
  const name = useCheckName()
  const rows = checks.toSorted(worstFirst).map((c) => ({ ...c, id: c.name }))
  const bad = rows.filter((c) => c.state !== 'ok')
  const fine = rows.filter((c) => c.state === 'ok')
  const columns: Column<Check & { id: string }>[] = [
    { head: t('preflight.check'), cell: (c) => <b className="nowrap">{name(c.name)}</b> },
    { head: t('preflight.state'), cell: (c) => <State of="check" state={c.state} /> },
    { head: t('preflight.found'), cell: (c) => say(c.found, c.said?.found) },
    { head: t('preflight.wanted'), cell: (c) => say(c.wanted ?? '', c.said?.wanted) || <span className="dim">—</span> },
  ]
  const toggle = (n: string) => onChoose?.(chosen.includes(n) ? chosen.filter((x) => x !== n) : [...chosen, n])
  const advice: Column<Check & { id: string }> = {
    head: t('preflight.advice'),
    wide: true,
    cell: (c) =>
      c.fixable && onChoose ? (
        <Checkbox
          size="xs"
          label={say(c.advice ?? '', c.said?.advice)}
          aria-label={t('preflight.choose', { name: name(c.name) })}
          checked={chosen.includes(c.name)}
          onChange={() => toggle(c.name)}
        />
      ) : (
        say(c.advice ?? '', c.said?.advice) || <span className="dim">—</span>
      ),
  }
  return (
    <>
      {bad.length > 0 && <Rows label={t('preflight.title')} columns={[...columns, advice]} rows={bad} />}
      {fine.length > 0 && (
        <details className="fine">
          <summary>
            <State of="check" state="ok" />
            {bad.length === 0 && `${t('preflight.allFine')} · `}
            {t('preflight.fine', { count: fine.length })}
          </summary>
          <Rows label={t('preflight.fine', { count: fine.length })} columns={columns} rows={fine} />
        </details>
      )}
    </>
  )
}
