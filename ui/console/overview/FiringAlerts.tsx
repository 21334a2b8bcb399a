import { Link } from '@tanstack/react-router'
import { AlertLine } from '../alerts/AlertLine'
import { useAlerts } from '../alerts/data'
import { Failure } from '../parts/Feedback'
import { Section } from '../parts/Screen'
import { useText } from '../text/language'

/** How many are shown before the rest becomes a link. */
const most = 5

/** The alerts that fire now; nothing when none does. */
export function FiringAlerts() {
  const { t } = useText()
  const list = useAlerts({ state: 'firing' })
  const alerts = list.data?.pages.flatMap((p) => p.items).filter((a) => a.state === 'firing') ?? []
  if (list.error) return <Failure error={list.error} retry={() => list.refetch()} />
  if (alerts.length === 0) return null
  return (
    <Section
      title={t('overview.firing')}
      aside={
        alerts.length > most && (
          <Link to="/alerts">
            {t('overview.allAlerts', { count: alerts.length, more: list.hasNextPage ? '+' : '' })}
          </Link>
        )
      }
    >
      <ul className="alerts">
        {alerts.slice(0, most).map((a) => (
          <AlertLine key={a.id} alert={a} />
        ))}
      </ul>
    </Section>
  )
}
