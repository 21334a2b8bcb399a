import { useDeferredValue, useState } from 'react'
import { useServers } from '../api/queries'
import type { OperationKind, QueuedMail } from '../api/types'
import { useMay } from '../app/rights'
import { Operate, type Order } from '../operations/Operate'
import { Failure, Loading } from '../parts/Feedback'
import { Glyph } from '../parts/Glyph'
import { Screen } from '../parts/Screen'
import { useText } from '../text/language'
import { Acts, useActs } from './Acts'
import { everything, type Filter, orderOf, type Picked, useQueue, useSummary } from './data'
import { EntryDrawer } from './EntryDrawer'
import { Filters } from './Filters'
import { OwnDialog, type OwnOrder } from './OwnDialog'
import { QueueList } from './QueueList'
import './queue.css'
import { RerouteDialog } from './RerouteDialog'
import { Summary } from './Summary'

/**
 * Mail that waits to be delivered, on all servers or one: how much for whom, and what is done with it. Who looks after
 * domains sees what those send and wait for.
 */
export default function Queue() {
  const { t } = useText()
  const [typed, setTyped] = useState<Filter>(everything)
  const filter = useDeferredValue(typed)
  const summary = useSummary(filter)
  const list = useQueue(filter)
  const mayServers = useMay('servers', 'read')
  const { acts, own } = useActs()
  const servers = useServers().data ?? []
  const [opened, setOpened] = useState<QueuedMail>()
  const [order, setOrder] = useState<Order>()
  const [rerouting, setRerouting] = useState<Order>()

  const [ownOrder, setOwnOrder] = useState<OwnOrder>()

  const begin = (kind: OperationKind, picked: Picked, at: string[]) => {
    if (own) {
      setOpened(undefined)
      setOwnOrder({ kind, filter: picked })
      return
    }
    const next: Order = { kind, targets: at.map((server) => ({ server })), params: { queue: { filter: picked } } }
    setOpened(undefined)
    if (kind === 'queue.reroute') setRerouting(next)
    else setOrder(next)
  }
  const idOf = (name: string) => servers.find((s) => s.name === name)?.id ?? name
  const holders = summary.data?.servers.filter((s) => s.entries > 0).map((s) => idOf(s.server)) ?? []
  const total = summary.data?.total
  const silent = [...new Set([...(summary.data?.silent ?? []), ...(list.data?.pages[0]?.silent ?? [])])]

  return (
    <Screen title={t('nav.queue')}>
      <Filters filter={typed} onChange={setTyped} servers={mayServers ? servers : undefined} />
      {silent.length > 0 && (
        <div className="notice" data-tone="warn">
          <Glyph name="warning" />
          <div>{t('sessions.silent', { servers: silent.join(', ') })}</div>
        </div>
      )}
      {summary.isPending && <Loading rows={3} />}
      {summary.error && <Failure error={summary.error} retry={() => summary.refetch()} />}
      {summary.data && (
        <Summary
          summary={summary.data}
          onDestination={(destination) => setTyped({ ...typed, destination })}
          onServer={(server) => setTyped({ ...typed, server })}
        />
      )}
      {acts.length > 0 && total && total.entries > 0 && (
        <Acts count={total.entries} acts={acts} onAct={(kind) => begin(kind, orderOf(filter), holders)} />
      )}
      {list.isPending && <Loading rows={8} />}
      {list.error && <Failure error={list.error} retry={() => list.refetch()} />}
      {list.data && (
        <QueueList list={list} filtered={JSON.stringify(filter) !== JSON.stringify(everything)} onOpen={setOpened} />
      )}
      {opened && (
        <EntryDrawer
          entry={opened}
          acts={acts}
          onAct={acts.length > 0 ? (kind) => begin(kind, { ids: [opened.entry] }, [opened.server_id]) : undefined}
          onClose={() => setOpened(undefined)}
        />
      )}
      {rerouting && (
        <RerouteDialog
          onRoute={(route) => {
            const queue = { ...(rerouting.params?.queue as object), route }
            setRerouting(undefined)
            setOrder({ ...rerouting, params: { queue } as Order['params'] })
          }}
          onClose={() => setRerouting(undefined)}
        />
      )}
      {ownOrder && <OwnDialog order={ownOrder} onClose={() => setOwnOrder(undefined)} />}
      <Operate order={order} onClose={() => setOrder(undefined)} />
    </Screen>
  )
}
