import { useQueryClient } from '@tanstack/react-query'
import { Outlet } from '@tanstack/react-router'
import { lazy, Suspense, useEffect, useState } from 'react'
import { api } from '../api/client'
import { useSession, useStatus } from '../api/queries'
import { Live } from '../live/Live'
import { Failure, Loading } from '../parts/Feedback'
import { Allowed } from './Allowed'
import { Shell } from './Shell'

const SignIn = lazy(() => import('../signin/SignIn'))
const Duty = lazy(() => import('../signin/Duty'))

/**
 * Shows the sign-in to strangers and the console, at the same address, to
 * those signed in who have nothing to do first.
 */
export function Gate() {
  const client = useQueryClient()
  const session = useSession()
  const status = useStatus()
  const [ended, setEnded] = useState(false)

  useEffect(() => {
    api.onSignedOut = () => {
      setEnded(true)
      client.setQueryData(['session'], null)
    }
  }, [client])

  if (session.isPending || (session.data && status.isLoading)) return <Loading rows={1} height={4} />
  if (session.data === undefined)
    return (
      <main className="lonely">
        <Failure error={session.error} retry={() => session.refetch()} />
      </main>
    )
  if (session.data === null)
    return (
      <Suspense fallback={<Loading rows={1} height={4} />}>
        <SignIn ended={ended} />
      </Suspense>
    )
  if (session.data.must)
    return (
      <Suspense fallback={<Loading rows={1} height={4} />}>
        <Duty must={session.data.must} />
      </Suspense>
    )
  return (
    <Live index={status.data?.index}>
      <Shell session={session.data}>
        <Allowed session={session.data}>
          <Outlet />
        </Allowed>
      </Shell>
    </Live>
  )
}
