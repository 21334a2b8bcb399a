import { Link, Navigate, useRouterState } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { Session } from '../api/types'
import { Empty } from '../parts/Feedback'
import { Screen } from '../parts/Screen'
import { useText } from '../text/language'
import { hasScreen, homeOf } from './screens'

/** Shows a screen to those who have it; the others are told, and led from the overview to a screen of theirs. */
export function Allowed({ session, children }: { session: Session; children: ReactNode }) {
  const { t } = useText()
  const path = useRouterState({ select: (s) => s.location.pathname })
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
