import { Button } from '@mantine/core'
import { lazy, Suspense, useState } from 'react'
import type { Server, Service } from '../api/types'
import { useMay } from '../app/rights'
import { useFreshness } from '../live/Live'
import { Operate, type Order } from '../operations/Operate'
import { Delete } from '../parts/Acts'
import { type Column, Rows } from '../parts/DataTable'
import { Empty } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Section } from '../parts/Screen'
import { State } from '../parts/State'
import { Ago } from '../parts/Time'
import { useText } from '../text/language'
import { CrashDrawer, LogDrawer } from './LogDrawer'
import { type Opened, ServiceActs } from './ServiceActs'

const FlowDialog = lazy(() => import('./FlowDialog'))
const ServiceDialog = lazy(() => import('./ServiceDialog'))

/** The services of a server, with what can be done to them. */
export function Services({ server }: { server: Server }) {
  const { t } = useText()
  const mayChange = useMay('services', 'write')
  const stale = useFreshness() === 'lost'
  const [opened, setOpened] = useState<Opened>()
  const [order, setOrder] = useState<Order>()
  const columns: Column<Service>[] = [
    { head: t('service.name'), cell: (s) => <b>{s.name}</b> },
    { head: t('service.state'), cell: (s) => <Standing service={s} stale={stale} /> },
    { head: t('service.since'), cell: (s) => <Ago at={s.since} /> },
    { head: t('service.pid'), cell: (s) => <span className="figures">{s.pid || '—'}</span>, number: true },
    { head: t('service.restarts'), cell: (s) => <span className="figures">{s.restarts}</span>, number: true },
    {
      head: t('action.actions'),
      quiet: true,
      cell: (s) => <ServiceActs server={server} service={s} onOrder={setOrder} onOpen={setOpened} />,
    },
  ]
  return (
    <Section
      title={t('overview.services')}
      aside={
        mayChange && (
          <Button
            size="xs"
            variant="default"
            leftSection={<Glyph name="plus" size={14} />}
            onClick={() => setOpened({ what: 'add' })}
          >
            {t('service.add')}
          </Button>
        )
      }
    >
      {server.services.length > 0 ? (
        <Rows label={t('overview.services')} columns={columns} rows={server.services} />
      ) : (
        <Empty title={t('service.none')} />
      )}
      {opened && <OpenedPart server={server} opened={opened} onClose={() => setOpened(undefined)} />}
      <Operate order={order} onClose={() => setOrder(undefined)} />
    </Section>
  )
}

/** How a service is, and what its supervisor says of it. */
function Standing({ service: s, stale }: { service: Service; stale: boolean }) {
  const { t, say } = useText()
  const notes = [
    s.exit && s.state !== 'running' && say(s.exit, s.said?.exit),
    s.health && t('service.unwell', { why: say(s.health, s.said?.health) }),
    s.pending && t('service.pending'),
    s.note && say(s.note, s.said?.note),
  ].filter(Boolean)
  return (
    <>
      <State of="service" state={s.state} stale={stale} />
      {s.drained && <span className="mark">{t('service.drained')}</span>}
      {notes.length > 0 && <small className="dim service-notes">{notes.join(' · ')}</small>}
    </>
  )
}

function OpenedPart({ server, opened, onClose }: { server: Server; opened: Opened; onClose: () => void }) {
  const { t } = useText()
  // The service as it is now, not as it was when this was opened.
  const service = server.services.find((s) => s.id === opened.service?.id) ?? opened.service
  if (opened.what === 'add' || !service)
    return (
      <Suspense>
        <ServiceDialog server={server} onClose={onClose} />
      </Suspense>
    )
  const names = { service: service.name, server: server.name }
  switch (opened.what) {
    case 'log':
      return <LogDrawer server={server} service={service} onClose={onClose} />
    case 'crash':
      return <CrashDrawer server={server} service={service} onClose={onClose} />
    case 'edit':
      return (
        <Suspense>
          <ServiceDialog server={server} service={opened.service} onClose={onClose} />
        </Suspense>
      )
    case 'mail':
      return (
        <Suspense>
          <FlowDialog server={server} service={opened.service ?? service} onClose={onClose} />
        </Suspense>
      )
    case 'remove':
      return (
        <Delete noun="services" thing={service} title={t('service.removeTitle', names)} onClose={onClose}>
          <p>{t('service.removeText')}</p>
        </Delete>
      )
  }
}
