import { Button } from '@mantine/core'
import { lazy, Suspense, useState } from 'react'
import { api, ifMatch } from '../api/client'
import { useReread, useServerName } from '../api/queries'
import type { Power as Driver, PowerStatus, Server } from '../api/types'
import { useMay } from '../app/rights'
import { Confirm } from '../parts/Confirm'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { Section } from '../parts/Screen'
import { State } from '../parts/State'
import { Ago } from '../parts/Time'
import { moment, seconds } from '../text/format'
import { useText } from '../text/language'
import { usePower } from './data'

const PowerDialog = lazy(() => import('./PowerDialog'))

/** How a server's power is switched; a test asks whether it is on. */
export function Power({ server }: { server: Server }) {
  const { t } = useText()
  const mayChange = useMay('powers', 'write')
  const { power, isPending, error, refetch } = usePower(server.id)
  const [open, setOpen] = useState<'edit' | 'remove'>()
  const close = () => setOpen(undefined)
  return (
    <Section
      title={t('power.title')}
      aside={
        mayChange &&
        power && (
          <div className="acts">
            <Button
              size="xs"
              variant="default"
              onClick={() => setOpen('edit')}
              aria-label={`${t('power.edit')}: ${t('power.title')}`}
            >
              {t('power.edit')}
            </Button>
            <Button
              size="xs"
              variant="default"
              onClick={() => setOpen('remove')}
              aria-label={`${t('power.remove')}: ${t('power.title')}`}
            >
              {t('power.remove')}
            </Button>
          </div>
        )
      }
    >
      {isPending && <Loading rows={2} />}
      {error && <Failure error={error} retry={() => refetch()} />}
      {!isPending && !error && !power && (
        <Empty title={t('power.none')}>
          {mayChange && (
            <Button size="xs" variant="default" onClick={() => setOpen('edit')}>
              {t('power.set')}
            </Button>
          )}
        </Empty>
      )}
      {power && <Facts server={server} power={power} mayTest={mayChange} />}
      {open === 'edit' && (
        <Suspense>
          <PowerDialog server={server} power={power} onClose={close} />
        </Suspense>
      )}
      {open === 'remove' && power && <Remove server={server} power={power} onClose={close} />}
    </Section>
  )
}

function Facts({ server, power: p, mayTest }: { server: Server; power: Driver; mayTest: boolean }) {
  const { t, say } = useText()
  const serverName = useServerName()
  const where = p.kind === 'command' ? (p.command ?? []).join(' ') : [p.address, p.mac].filter(Boolean).join(' · ')
  return (
    <dl className="facts">
      <div>
        <dt>{t('power.kind')}</dt>
        <dd>{t(`power.kinds.${p.kind || 'dev'}`)}</dd>
      </div>
      {where && (
        <div>
          <dt>{t(p.kind === 'command' ? 'power.command' : p.kind === 'wol' ? 'power.mac' : 'power.address')}</dt>
          <dd>{where}</dd>
        </div>
      )}
      {p.user && (
        <div>
          <dt>{t('power.user')}</dt>
          <dd>{p.user}</dd>
        </div>
      )}
      <div>
        <dt>{t('power.via')}</dt>
        <dd>{p.via ? serverName(p.via) : t('power.viaAny')}</dd>
      </div>
      <div>
        <dt>{t('power.tested')}</dt>
        <dd>
          {moment(p.tested) === undefined ? (
            t('power.never')
          ) : (
            <>
              <Ago at={p.tested} /> {p.result && <small className="dim">{say(p.result, p.said)}</small>}
            </>
          )}
        </dd>
      </div>
      {mayTest && <Test server={server} />}
    </dl>
  )
}

/** Asks the driver now. */
function Test({ server }: { server: Server }) {
  const { t, say, format } = useText()
  const reread = useReread()
  const serverName = useServerName()
  const [busy, setBusy] = useState(false)
  const [status, setStatus] = useState<PowerStatus>()
  const [error, setError] = useState<unknown>()
  const test = async () => {
    setBusy(true)
    setError(undefined)
    setStatus(undefined)
    try {
      setStatus(await api.change<PowerStatus>('POST', `/servers/${server.id}/power/test`))
      await reread('powers')
    } catch (e) {
      setError(e)
    } finally {
      setBusy(false)
    }
  }
  return (
    <div className="power-test">
      <dt className="visually-hidden">{t('power.test')}</dt>
      <dd>
        <Button size="xs" loading={busy} onClick={test}>
          {t('power.test')}
        </Button>
        {status && (
          <span role="status">
            <State of="power" state={status.state} />{' '}
            <small className="dim">
              {t('power.answer', {
                via: serverName(status.via),
                took: format.duration(Math.max(1, seconds(status.took))),
              })}
            </small>
            {status.message && <p>{say(status.message, status.said)}</p>}
          </span>
        )}
        {error !== undefined && <Failure error={error} />}
      </dd>
    </div>
  )
}

function Remove({ server, power, onClose }: { server: Server; power: Driver; onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const remove = async () => {
    await api.change('DELETE', `/servers/${server.id}/power`, { headers: ifMatch(power) })
    await reread('powers')
  }
  return (
    <Confirm
      title={t('power.removeTitle', { server: server.name })}
      action={t('power.remove')}
      danger
      onConfirm={remove}
      onClose={onClose}
    >
      <p>{t('power.removeText')}</p>
    </Confirm>
  )
}
