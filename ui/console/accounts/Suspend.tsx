import { useMutation } from '@tanstack/react-query'
import { api, ifMatch } from '../api/client'
import { useReread } from '../api/queries'
import type { Account } from '../api/types'
import { Act } from '../parts/Acts'
import { useTell } from '../parts/Toasts'
import { useText } from '../text/language'

interface SuspendProps {
  account: Pick<Account, 'id' | 'version' | 'address' | 'state'>
  onDone?: () => void
}

/** Suspends an account or lets it in again; both can be undone by the same button. */
export function Suspend({ account, onDone }: SuspendProps) {
  const { t } = useText()
  const tell = useTell()
  const reread = useReread()
  const state = account.state === 'active' ? 'suspended' : 'active'
  const patch = useMutation({
    mutationFn: () => api.change('PATCH', `/accounts/${account.id}`, { body: { state }, headers: ifMatch(account) }),
    onSuccess: async () => {
      await reread('accounts')
      onDone?.()
    },
    onError: tell.failed,
  })
  const label = t(state === 'suspended' ? 'accounts.suspend' : 'accounts.resume')
  return <Act label={label} of={account.address} busy={patch.isPending} onClick={() => patch.mutate()} />
}
