import { useEffect, useRef } from 'react'
import type { Server } from '../api/types'
import { Dialog } from '../parts/Dialog'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { useText } from '../text/language'
import { useLog } from './data'

/** What a service wrote last; follows it as long as one looks at the end. */
export function LogDrawer({ server, service, onClose }: { server: Server; service: string; onClose: () => void }) {
  const { t } = useText()
  const log = useLog(server.id, service)
  const end = useRef<HTMLElement>(null)
  const following = useRef(true)
  const text = log.data?.lines.join('\n')

  // biome-ignore lint/correctness/useExhaustiveDependencies: new text moves the end
  useEffect(() => {
    if (end.current && following.current) end.current.scrollTop = end.current.scrollHeight
  }, [text])

  return (
    <Dialog kind="drawer" title={t('log.title', { service, server: server.name })} onClose={onClose}>
      {log.isPending && <Loading rows={12} height={24} />}
      {log.error && <Failure error={log.error} retry={() => log.refetch()} />}
      {text === '' && <Empty title={t('log.empty')} />}
      {text && (
        <section
          ref={end}
          className="log"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
          tabIndex={0}
          aria-label={t('log.title', { service, server: server.name })}
          onScroll={(e) => {
            const { scrollTop, clientHeight, scrollHeight } = e.currentTarget
            following.current = scrollTop + clientHeight > scrollHeight - 40
          }}
        >
          <pre>{text}</pre>
        </section>
      )}
    </Dialog>
  )
}
