import { AlertLine } from '../alerts/AlertLine'
import { useAlerts } from '../alerts/data'
import type { Server } from '../api/types'
import { useOperations } from '../operations/data'
import { OperationTable } from '../operations/OperationTable'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { Section } from '../parts/Screen'
import { useText } from '../text/language'

/** The alerts of a server and what was done to it, newest first. */
export function History({ server }: { server: Server }) {
  const { t } = useText()
  const alerts = useAlerts({ server: server.id })
  const operations = useOperations({ server: server.id })
  const shown = alerts.data?.pages[0]?.items.slice(0, 10) ?? []
  return (
    <>
      <Section title={t('nav.alerts')}>
        {alerts.isPending && <Loading rows={2} height={84} />}
        {alerts.error && <Failure error={alerts.error} retry={() => alerts.refetch()} />}
        {alerts.data && shown.length === 0 && <Empty title={t('alerts.empty.all')} />}
        <ul className="alerts">
          {shown.map((a) => (
            <AlertLine key={a.id} alert={a} />
          ))}
        </ul>
      </Section>
      <Section title={t('nav.operations')}>
        <OperationTable list={operations} />
      </Section>
    </>
  )
}
