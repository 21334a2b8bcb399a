import { Button } from '@mantine/core'
import type { ReactNode } from 'react'
import { useState } from 'react'
import { api } from '../api/client'
import type { Enrolment, Server } from '../api/types'
import { useMay } from '../app/rights'
import { useFreshness } from '../live/Live'
import { useNow } from '../live/now'
import { Invitation } from '../overview/Invitation'
import { Dialog } from '../parts/Dialog'
import { Glyph } from '../parts/Glyph'
import { Ago, Until } from '../parts/Time'
import { useTell } from '../parts/Toasts'
import { moment } from '../text/format'
import { useText } from '../text/language'

/** A clock further off than this is shown, in seconds. */
const skewShown = 30
/** A certificate that ends sooner than this is marked: its renewal at half life has failed. Milliseconds. */
const expiresSoon = 24 * 3600_000

/** What is known of the server itself, and what is wrong with it. */
export function Facts({ server }: { server: Server }) {
  const { t, say, format } = useText()
  const now = useNow()
  const fresh = useFreshness() !== 'lost'
  const expires = moment(server.certificate_expires)
  const skew = Math.abs(server.clock_skew)
  const labels = Object.entries(server.labels ?? {})
  return (
    <>
      {server.witnesses.length > 0 && server.state !== 'joining' && (
        <Warning>{t('server.missed', { by: server.witnesses.join(', ') })}</Warning>
      )}
      {server.problem && <Warning>{t('server.problem', { problem: say(server.problem, server.said) })}</Warning>}
      {skew > skewShown && (
        <Warning>
          {t(server.clock_skew > 0 ? 'server.ahead' : 'server.behind', { skew: format.duration(skew) })}
        </Warning>
      )}
      {expires !== undefined && expires - now < expiresSoon && (
        <Warning>
          {t(expires > now ? 'server.expires' : 'server.expired')} <Until at={server.certificate_expires} />
        </Warning>
      )}
      {server.state === 'joining' && <Joining server={server} />}
      <dl className="facts">
        <Fact name={t('server.address')}>{server.address}</Fact>
        <Fact name={t('server.region')}>{server.region || '—'}</Fact>
        {labels.length > 0 && <Fact name={t('server.labels')}>{labels.map(([k, v]) => `${k}=${v}`).join(' ')}</Fact>}
        <Fact name={t('server.since')}>
          <Ago at={server.since} />
        </Fact>
        <Fact name={t('server.seen')}>
          {server.connected && fresh ? t('server.connected') : <Ago at={server.last_seen} />}
        </Fact>
        <Fact name={t('server.agent')}>{server.agent_version || '—'}</Fact>
        <Fact name={t('server.certificate')}>
          <Until at={server.certificate_expires} />
        </Fact>
        <Fact name={t('server.boot')}>
          <span title={server.boot_id}>{server.boot_id.slice(0, 8) || '—'}</span>
        </Fact>
      </dl>
    </>
  )
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className="figures">{children}</dd>
    </div>
  )
}

function Warning({ children }: { children: ReactNode }) {
  return (
    <div className="notice" data-tone="warn">
      <Glyph name="warning" />
      <p>{children}</p>
    </div>
  )
}

/** The agent has not come yet: perhaps its line is lost or expired. */
function Joining({ server }: { server: Server }) {
  const { t } = useText()
  const tell = useTell()
  const mayChange = useMay('servers', 'write')
  const [enrolment, setEnrolment] = useState<Enrolment>()
  const invite = () =>
    api.change<Enrolment>('POST', `/servers/${server.id}/invitation`).then(setEnrolment).catch(tell.failed)
  return (
    <div className="notice" data-tone="busy">
      <Glyph name="waiting" />
      <div>
        <p>{t('server.joining')}</p>
        {mayChange && (
          <Button size="xs" variant="default" onClick={invite}>
            {t('server.invite')}
          </Button>
        )}
      </div>
      {enrolment && (
        <Dialog title={t('server.invite')} onClose={() => setEnrolment(undefined)}>
          <Invitation enrolment={enrolment} onClose={() => setEnrolment(undefined)} />
        </Dialog>
      )}
    </div>
  )
}
