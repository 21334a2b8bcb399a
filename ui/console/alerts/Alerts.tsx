import { Button } from '@mantine/core'
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import type { Alert, Severity } from '../api/types'
import type { AlertFilter } from '../app/routes'
import { Choice } from '../parts/Choice'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { Screen } from '../parts/Screen'
import { moment } from '../text/format'
import { useText } from '../text/language'
import { AlertLine } from './AlertLine'
import { useAlerts } from './data'

const route = getRouteApi('/alerts')
const filters: AlertFilter[] = ['firing', 'pending', 'resolved', 'all']
const urgency: Severity[] = ['critical', 'warning', 'info']

/** What nobody has taken comes first, then what is worse, then what is newer. */
export function urgentFirst(a: Alert, b: Alert): number {
  const taken = Number(moment(a.acked) !== undefined) - Number(moment(b.acked) !== undefined)
  return taken || urgency.indexOf(a.severity) - urgency.indexOf(b.severity) || b.since.localeCompare(a.since)
}

/** Alerts, and the button that takes one: it never asks back. */
export default function Alerts() {
  const { t } = useText()
  const navigate = useNavigate()
  const { state = 'firing' } = route.useSearch()
  const list = useAlerts(state === 'all' ? {} : { state })
  const alerts = list.data?.pages.flatMap((p) => p.items).filter((a) => state === 'all' || a.state === state) ?? []
  if (state === 'firing') alerts.sort(urgentFirst)

  return (
    <Screen title={t('nav.alerts')}>
      <div className="alert-filter">
        <Choice
          label={t('alerts.filter')}
          value={state}
          onChange={(s) => navigate({ to: '/alerts', search: { state: s === 'firing' ? undefined : s } })}
          options={filters.map((f) => ({ value: f, label: t(`alerts.${f}`) }))}
        />
      </div>
      {list.isPending && <Loading rows={4} height={84} />}
      {list.error && <Failure error={list.error} retry={() => list.refetch()} />}
      {list.data && alerts.length === 0 && (
        <Empty title={t(`alerts.empty.${state}`)}>
          <Link to="/rules">{t('alerts.toRules')}</Link>
        </Empty>
      )}
      <ul className="alerts">
        {alerts.map((a) => (
          <AlertLine key={a.id} alert={a} />
        ))}
      </ul>
      {list.hasNextPage && (
        <div className="more">
          <Button variant="default" size="xs" loading={list.isFetchingNextPage} onClick={() => list.fetchNextPage()}>
            {t('action.more')}
          </Button>
        </div>
      )}
    </Screen>
  )
}
