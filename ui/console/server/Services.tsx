import { Button } from '@mantine/core'
import { useState } from 'react'
import type { Server, Service } from '../api/types'
import { useMay } from '../app/rights'
import { useFreshness } from '../live/Live'
import { useOperate } from '../operations/data'
import { Confirm } from '../parts/Confirm'
import { type Column, Rows } from '../parts/DataTable'
import { Empty } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Section } from '../parts/Screen'
import { State } from '../parts/State'
import { Ago } from '../parts/Time'
import { useTell } from '../parts/Toasts'
import { useText } from '../text/language'
import { LogDrawer } from './LogDrawer'

/** The services of a server, with what can be done to them. */
export function Services({ server }: { server: Server }) {
  const { t } = useText()
  const stale = useFreshness() === 'lost'
  const [reading, setReading] = useState<Service>()
  const columns: Column<Service>[] = [
    { head: t('service.name'), cell: (s) => <b>{s.name}</b> },
    {
      head: t('service.state'),
      cell: (s) => (
        <>
          <State of="service" state={s.state} stale={stale} />
          {s.exit && s.state !== 'running' && <small className="dim"> {s.exit}</small>}
        </>
      ),
    },
    { head: t('service.since'), cell: (s) => <Ago at={s.since} /> },
    { head: t('service.pid'), cell: (s) => <span className="figures">{s.pid || '—'}</span>, number: true },
    { head: t('service.restarts'), cell: (s) => <span className="figures">{s.restarts}</span>, number: true },
    { head: t('action.actions'), quiet: true, cell: (s) => <Acts server={server} service={s} onLog={setReading} /> },
  ]
  return (
    <Section title={t('overview.services')}>
      {server.services.length > 0 ? (
        <Rows label={t('overview.services')} columns={columns} rows={server.services} />
      ) : (
        <Empty title={t('service.none')} />
      )}
      {reading && <LogDrawer server={server} service={reading.name} onClose={() => setReading(undefined)} />}
    </Section>
  )
}

interface ActsProps {
  server: Server
  service: Service
  onLog: (s: Service) => void
}

function Acts({ server, service, onLog }: ActsProps) {
  const { t } = useText()
  const mayChange = useMay('operations', 'write')
  const operate = useOperate()
  const tell = useTell()
  const [asking, setAsking] = useState<'service.stop' | 'service.restart'>()
  const names = { service: service.name, server: server.name }
  const targets = [{ server: server.id, service: service.name }]
  const idle = service.state === 'stopped' || service.state === 'crashed'
  return (
    <div className="acts">
      <Button size="xs" variant="subtle" leftSection={<Glyph name="log" size={14} />} onClick={() => onLog(service)}>
        {t('service.log')}
      </Button>
      {mayChange && idle && (
        <Button
          size="xs"
          variant="default"
          loading={operate.isPending}
          onClick={() => operate.mutate({ kind: 'service.start', targets }, { onError: tell.failed })}
        >
          {t('service.start')}
        </Button>
      )}
      {mayChange && !idle && (
        <>
          <Button size="xs" variant="default" onClick={() => setAsking('service.restart')}>
            {t('service.restart')}
          </Button>
          <Button size="xs" variant="default" onClick={() => setAsking('service.stop')}>
            {t('service.stop')}
          </Button>
        </>
      )}
      {asking && (
        <Confirm
          title={t(`operation.${asking}`, names)}
          action={t(asking === 'service.stop' ? 'service.stop' : 'service.restart')}
          danger={asking === 'service.stop'}
          wantReason
          onConfirm={async (reason) => {
            await operate.mutateAsync({ kind: asking, targets, reason })
          }}
          onClose={() => setAsking(undefined)}
        >
          <p>{t(`confirm.${asking}`, names)}</p>
        </Confirm>
      )}
    </div>
  )
}
