import { Button } from '@mantine/core'
import type { OperationKind, Server, Service } from '../api/types'
import { useMay } from '../app/rights'
import { useOperate } from '../operations/data'
import { dangerous } from '../operations/kinds'
import type { Order } from '../operations/Operate'
import { Glyph } from '../parts/Glyph'
import { Menu, type MenuItem } from '../parts/Menu'
import { useTell } from '../parts/Toasts'
import { useText } from '../text/language'

/** What of a service, or of a new one, is shown over the screen. */
export interface Opened {
  what: 'log' | 'crash' | 'edit' | 'mail' | 'remove' | 'add'
  service?: Service
}

interface ActsProps {
  server: Server
  service: Service
  onOrder: (o: Order) => void
  onOpen: (o: Opened) => void
}

/** The buttons of a service: the usual ones at hand, the others in a menu. */
export function ServiceActs({ server, service, onOrder, onOpen }: ActsProps) {
  const { t } = useText()
  const tell = useTell()
  const operate = useOperate()
  const mayOperate = useMay('operations', 'write')
  const mayChange = useMay('services', 'write')
  const idle = service.state === 'stopped' || service.state === 'crashed'
  const ours = service.kind === 'mailnode'
  const targets = [{ server: server.id, service: service.name }]
  const item = (kind: OperationKind): MenuItem => ({
    label: t(`act.${kind}`),
    danger: dangerous(kind),
    onChoose: () => onOrder({ kind, targets }),
  })
  const open = (what: Opened['what'], label: string, danger?: boolean): MenuItem => ({
    label,
    danger,
    onChoose: () => onOpen({ what, service }),
  })
  const items = [
    ...(mayOperate && !idle ? [item('service.reload')] : []),
    ...(mayOperate ? [item(service.drained ? 'service.undrain' : 'service.drain')] : []),
    ...(mayOperate && ours ? [item('service.upgrade')] : []),
    open('crash', t('service.crash')),
    ...(mayChange ? [open('edit', t('service.edit'))] : []),
    ...(mayChange && ours ? [open('mail', t('flow.edit'))] : []),
    ...(mayChange && !ours ? [open('remove', t('service.remove'), true)] : []),
  ]
  return (
    <div className="acts">
      <Button
        size="xs"
        variant="subtle"
        leftSection={<Glyph name="log" size={14} />}
        onClick={() => onOpen({ what: 'log', service })}
      >
        {t('service.log')}
      </Button>
      {mayOperate && idle && (
        <Button
          size="xs"
          variant="default"
          loading={operate.isPending}
          onClick={() => operate.mutate({ kind: 'service.start', targets }, { onError: tell.failed })}
        >
          {t('act.service.start')}
        </Button>
      )}
      {mayOperate && !idle && (
        <>
          <Button size="xs" variant="default" onClick={() => onOrder({ kind: 'service.restart', targets })}>
            {t('act.service.restart')}
          </Button>
          <Button size="xs" variant="default" onClick={() => onOrder({ kind: 'service.stop', targets })}>
            {t('act.service.stop')}
          </Button>
        </>
      )}
      <Menu label={`${t('service.more')}: ${service.name}`} glyph="more" items={items} />
    </div>
  )
}
