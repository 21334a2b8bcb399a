import { Button } from '@mantine/core'
import { useState } from 'react'
import { Suspend } from '../accounts/Suspend'
import { api, ifMatch } from '../api/client'
import { useReread } from '../api/queries'
import type { Hold } from '../api/types'
import { useMay } from '../app/rights'
import { Confirm } from '../parts/Confirm'
import { State } from '../parts/State'
import { Ago } from '../parts/Time'
import { useTell } from '../parts/Toasts'
import { seconds } from '../text/format'
import { useText } from '../text/language'
import './holds.css'

/** Why an account's mail is held, how much of it there is, and what can be done about it. */
export function Held({ hold, suspending = true }: { hold: Hold; suspending?: boolean }) {
  const { t, format } = useText()
  const over = seconds(hold.over)
  return (
    <div className="hold">
      <div>
        <p>
          {t(over > 0 ? 'hold.burst' : 'hold.atOnce', {
            count: hold.sent,
            sent: format.number(hold.sent),
            over: format.duration(over),
          })}
          {t(hold.usual > 0 ? 'hold.usual' : 'hold.seldom', {
            count: hold.usual,
            usual: format.number(hold.usual),
          })}
        </p>
        <p className="dim">
          {hold.messages > 0
            ? t('hold.waiting', {
                count: hold.messages,
                messages: format.number(hold.messages),
                size: format.bytes(hold.bytes),
              })
            : t('hold.nothing')}{' '}
          · <Ago at={hold.since} />
          {hold.state === 'suspended' && (
            <>
              {' '}
              · <State of="account" state={hold.state} />
            </>
          )}
        </p>
      </div>
      <HoldActs hold={hold} suspending={suspending} />
    </div>
  )
}

/** Suspending is one tap and can be taken back; mail that goes or is deleted cannot, so that is asked. */
function HoldActs({ hold, suspending }: { hold: Hold; suspending: boolean }) {
  const { t, format } = useText()
  const maySuspend = useMay('accounts', 'suspend')
  const mayWrite = useMay('accounts', 'write')
  const [asked, setAsked] = useState<'release' | 'delete'>()
  const tell = useTell()
  const reread = useReread()
  const act = async (path: string, done: 'hold.released' | 'hold.deleted') => {
    const account = { id: hold.account, version: hold.version }
    await api.change('DELETE', `/accounts/${hold.account}/${path}`, { headers: ifMatch(account) })
    tell.done(t(done, { address: hold.address }))
    await reread('holds')
    await reread('alerts')
  }
  const shown = { address: hold.address, count: hold.messages, messages: format.number(hold.messages) }
  return (
    <div className="acts">
      {suspending && maySuspend && (
        <Suspend
          account={{ id: hold.account, version: hold.version, address: hold.address, state: hold.state }}
          onDone={() => reread('holds')}
        />
      )}
      {maySuspend && (
        <Button
          size="xs"
          variant="default"
          aria-label={`${t('hold.release')}: ${hold.address}`}
          onClick={() => setAsked('release')}
        >
          {t('hold.release')}
        </Button>
      )}
      {mayWrite && hold.messages > 0 && (
        <Button
          size="xs"
          variant="default"
          data-danger
          aria-label={`${t('hold.delete')}: ${hold.address}`}
          onClick={() => setAsked('delete')}
        >
          {t('hold.delete')}
        </Button>
      )}
      {asked === 'release' && (
        <Confirm
          title={t('hold.releaseTitle', { address: hold.address })}
          action={t('hold.release')}
          onConfirm={() => act('hold', 'hold.released')}
          onClose={() => setAsked(undefined)}
        >
          <p>{t('hold.releaseText', shown)}</p>
          {hold.state === 'suspended' && <p>{t('hold.stillSuspended')}</p>}
        </Confirm>
      )}
      {asked === 'delete' && (
        <Confirm
          title={t('hold.deleteTitle', { address: hold.address })}
          action={t('hold.delete')}
          danger
          onConfirm={() => act('held-mail', 'hold.deleted')}
          onClose={() => setAsked(undefined)}
        >
          <p>{t('hold.deleteText', shown)}</p>
        </Confirm>
      )}
    </div>
  )
}
