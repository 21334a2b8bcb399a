import { useQueryClient } from '@tanstack/react-query'
import { Outlet } from '@tanstack/react-router'
import { lazy, Suspense, useEffect } from 'react'
import { api } from '../api/client'
import { useSession, useStatus } from '../api/queries'
import { Live } from '../live/Live'
import { Failure, Loading } from '../parts/Feedback'
import { Shell } from './Shell'

const SignIn = lazy(() => import('../signin/SignIn'))

/** Shows the sign-in to strangers and the console, at the same address, to those signed in. */
export function Gate() {
  const client = useQueryClient()
  const session = useSession()
  const status = useStatus()

  useEffect(() => {
    api.onSignedOut = () => client.setQueryData(['session'], null)
  }, [client])

  if (session.isPending || (session.data && status.isPending)) return <Loading rows={1} height={4} />
  if (session.data === undefined)
    return (
      <main className="lonely">
        <Failure error={session.error} retry={() => session.refetch()} />
      </main>
    )
  if (session.data === null)
    return (
      <Suspense fallback={<Loading rows={1} height={4} />}>
        <SignIn />
      </Suspense>
    )
  return (
    <Live index={status.data?.index}>
      <Shell session={session.data}>
        <Outlet />
      </Shell>
    </Live>
  )
}
