import { useEffect, useRef } from 'react'
import type { Server, Service } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { Ago } from '../parts/Time'
import { useText } from '../text/language'
import { useCrash } from './data'
import { useFollowedLog } from './follow'

interface DrawerProps {
  server: Server
  service: Service
  onClose: () => void
}

/** What a service writes, as it writes it. */
export function LogDrawer({ server, service, onClose }: DrawerProps) {
  const { t, format } = useText()
  const log = useFollowedLog(service.id, (n) => t('log.skipped', { size: format.bytes(n) }))
  const title = t('log.title', { service: service.name, server: server.name })
  return (
    <Dialog kind="drawer" title={title} onClose={onClose}>
      {log.state === 'opening' && <Loading rows={12} height={24} />}
      {log.error !== undefined && <Failure error={log.error} retry={log.retry} />}
      {log.state === 'live' && log.lines.length === 0 && <Empty title={t('log.empty')} />}
      {log.lines.length > 0 && <Lines label={title} lines={log.lines} />}
      {log.state !== 'opening' && log.error === undefined && (
        <p className="log-state" data-state={log.state}>
          <span className="stream-dot" />
          {t(`log.${log.state}`)}
        </p>
      )}
    </Dialog>
  )
}

/** How a service last ended without being asked to, and what it wrote before. */
export function CrashDrawer({ server, service, onClose }: DrawerProps) {
  const { t, say } = useText()
  const crash = useCrash(service.id)
  const title = t('log.crashTitle', { service: service.name, server: server.name })
  const c = crash.data
  return (
    <Dialog kind="drawer" title={title} onClose={onClose}>
      {crash.isPending && <Loading rows={12} height={24} />}
      {crash.error && <Failure error={crash.error} retry={() => crash.refetch()} />}
      {c === null && <Empty title={t('log.noCrash')} />}
      {c && (
        <p>
          <b>{say(c.exit, c.said)}</b> · <Ago at={c.time} /> · {t('log.restarts', { count: c.restarts })}
        </p>
      )}
      {c?.lines.length === 0 && <Empty title={t('log.empty')} />}
      {c && c.lines.length > 0 && <Lines label={title} lines={c.lines} />}
    </Dialog>
  )
}

/** Lines that scroll; they follow their end as long as one looks at it. */
function Lines({ label, lines }: { label: string; lines: string[] }) {
  const end = useRef<HTMLElement>(null)
  const following = useRef(true)
  const text = lines.join('\n')

  // biome-ignore lint/correctness/useExhaustiveDependencies: new text moves the end
  useEffect(() => {
    if (end.current && following.current) end.current.scrollTop = end.current.scrollHeight
  }, [text])

  return (
    <section
      ref={end}
      className="log"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
      tabIndex={0}
      aria-label={label}
      onScroll={(e) => {
        const { scrollTop, clientHeight, scrollHeight } = e.currentTarget
        following.current = scrollTop + clientHeight > scrollHeight - 40
      }}
    >
      <pre>{text}</pre>
    </section>
  )
}
