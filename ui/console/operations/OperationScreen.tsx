import { Button } from '@mantine/core'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useServerName } from '../api/queries'
import type { Operation, Step } from '../api/types'
import { useMay } from '../app/rights'
import { useFreshness } from '../live/Live'
import { type Column, Rows } from '../parts/DataTable'
import { Failure, Loading } from '../parts/Feedback'
import { Screen, Section } from '../parts/Screen'
import { State } from '../parts/State'
import { At, Until } from '../parts/Time'
import { actorName, moment } from '../text/format'
import { useText } from '../text/language'
import { useCancel, useOperation, useOperationText } from './data'

const route = getRouteApi('/operations/$id')

/** One operation: what was asked, by whom, and how each step went. */
export default function OperationScreen() {
  const { t } = useText()
  const operation = useOperation(route.useParams().id)
  const text = useOperationText()
  const o = operation.data
  return (
    <Screen title={o ? text(o) : t('operation.one')} aside={o && <Cancel operation={o} />}>
      {operation.isPending && <Loading />}
      {operation.error && <Failure error={operation.error} retry={() => operation.refetch()} />}
      {o && <Body operation={o} />}
    </Screen>
  )
}

function Cancel({ operation }: { operation: Operation }) {
  const { t } = useText()
  const cancel = useCancel()
  const mayChange = useMay('operations', 'write')
  if (operation.state !== 'queued' || !mayChange) return null
  return (
    <Button variant="default" loading={cancel.isPending} onClick={() => cancel.mutate(operation.id)}>
      {t('operation.cancel')}
    </Button>
  )
}

function Body({ operation: o }: { operation: Operation }) {
  const { t } = useText()
  const stale = useFreshness() === 'lost'
  const serverName = useServerName()
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
    { head: t('operation.message'), wide: true, cell: (s) => s.message || <span className="dim">—</span> },
    { head: t('operation.started'), cell: (s) => <At at={s.started} /> },
    { head: t('operation.ended'), cell: (s) => <At at={s.ended} /> },
  ]
  return (
    <>
      <dl className="facts">
        <div>
          <dt>{t('operation.state')}</dt>
          <dd>
            <State of="operation" state={o.state} stale={stale} />
          </dd>
        </div>
        <div>
          <dt>{t('operation.actor')}</dt>
          <dd>{actorName(o.actor)}</dd>
        </div>
        <div>
          <dt>{t('operation.reason')}</dt>
          <dd>{o.reason || '—'}</dd>
        </div>
        <div>
          <dt>{t('operation.created')}</dt>
          <dd>
            <At at={o.created} />
          </dd>
        </div>
        {moment(o.ended) === undefined ? (
          <div>
            <dt>{t('operation.expires')}</dt>
            <dd>
              <Until at={o.expires} />
            </dd>
          </div>
        ) : (
          <div>
            <dt>{t('operation.ended')}</dt>
            <dd>
              <At at={o.ended} />
            </dd>
          </div>
        )}
      </dl>
      <Section title={t('operation.steps')}>
        <Rows label={t('operation.steps')} columns={columns} rows={o.steps} />
      </Section>
    </>
  )
}
