import { Link, Navigate, rootRouteId, useRouterState } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { Session } from '../api/types'
import { Empty } from '../parts/Feedback'
import { Screen } from '../parts/Screen'
import { useText } from '../text/language'
import { hasScreen, homeOf } from './screens'

/** Shows a screen to those who have it; the others are told, and led from the overview to a screen of theirs. */
export function Allowed({ session, children }: { session: Session; children: ReactNode }) {
  const { t } = useText()
  // What is shown, not what is gone to: while the next screen is loaded the last one still stands.
  const path = useRouterState({
    select: ({ matches, location }) => {
      const shown = matches.at(-1)
      return shown && shown.routeId !== rootRouteId ? shown.pathname : location.pathname
    },
  })
  if (hasScreen(session, path)) return children
  const home = homeOf(session)
  if (path === '/') return <Navigate to={home} replace />
  return (
    <Screen title={t('forbidden.title')}>
      <Empty title={t('forbidden.text', { role: t(`role.${session.role}`) })}>
        <Link to={home}>{t('forbidden.home')}</Link>
      </Empty>
    </Screen>
  )
}
