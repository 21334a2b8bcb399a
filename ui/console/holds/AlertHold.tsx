import { Link } from '@tanstack/react-router'
import type { Alert } from '../api/types'
import { useText } from '../text/language'
import { useHolds } from './data'
import { Held } from './Held'

/** The account that an alert of held mail is about; empty for other alerts. */
export const heldAccount = (alert: Alert) =>
  alert.metric === 'mailnode_account_burst' ? (alert.tags?.account ?? '') : ''

/** In an alert of held mail: whose mail, why, and what can be done about it. */
export function AlertHold({ alert }: { alert: Alert }) {
  const { t } = useText()
  const address = heldAccount(alert)
  const holds = useHolds(undefined, alert.state !== 'resolved')
  const hold = holds.data?.items.find((h) => h.address === address)
  return (
    <>
      <p className="hold-account">
        <Link to="/accounts/$id" params={{ id: hold?.account ?? address }}>
          {address}
        </Link>
      </p>
      {alert.state !== 'resolved' &&
        (hold ? (
          <Held hold={hold} />
        ) : (
          holds.data && <p className="dim">{t(holds.data.partial ? 'hold.silent' : 'hold.over')}</p>
        ))}
    </>
  )
}
