import { useState } from 'react'
import type { OperationKind, Server } from '../api/types'
import { useMay } from '../app/rights'
import { useFreshness } from '../live/Live'
import { dangerous } from '../operations/kinds'
import { Operate, type Order } from '../operations/Operate'
import { Act } from '../parts/Acts'
import { Menu } from '../parts/Menu'
import { State } from '../parts/State'
import { useText } from '../text/language'

/** How a server stands, and what can be done to it as a whole. */
export function ServerActs({ server }: { server: Server }) {
  const { t } = useText()
  const stale = useFreshness() === 'lost'
  const mayOperate = useMay('operations', 'write')
  const [order, setOrder] = useState<Order>()
  const ask = (kind: OperationKind) => setOrder({ kind, targets: [{ server: server.id }] })
  const item = (kind: OperationKind) => ({
    label: t(`act.${kind}`),
    danger: dangerous(kind),
    onChoose: () => ask(kind),
  })
  const ofAll = (kind: OperationKind, label: string) => ({
    label,
    onChoose: () => setOrder({ kind, targets: server.services.map((s) => ({ server: server.id, service: s.name })) }),
  })
  const drainable = server.services.some((s) => !s.drained)
  const drained = server.services.some((s) => s.drained)
  const at = server.state === 'down' ? 'server.poweron' : 'server.reboot'
  return (
    <>
      <State of="server" state={server.state} stale={stale} />
      {mayOperate && server.state !== 'removed' && (
        <div className="acts">
          <Act label={t(`act.${at}`)} of={server.name} onClick={() => ask(at)} />
          <Menu
            label={t('server.acts')}
            items={[
              ...(drainable ? [ofAll('service.drain', t('server.drain'))] : []),
              ...(drained ? [ofAll('service.undrain', t('server.undrain'))] : []),
              item(server.state === 'down' ? 'server.reboot' : 'server.poweron'),
              item('server.shutdown'),
              item('server.powercycle'),
              item('agent.upgrade'),
              item('server.remove'),
            ]}
          />
        </div>
      )}
      <Operate order={order} onClose={() => setOrder(undefined)} />
    </>
  )
}
