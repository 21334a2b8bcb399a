import { type ReactNode, useMemo, useState } from 'react'
import type { Server, ServerState } from '../api/types'
import { readings, useReadingsVersion } from '../live/readings'
import { Glyph } from '../parts/Glyph'
import { type Selection, standing } from '../parts/selection'
import { Tick } from '../parts/Tick'
import { useCards, useWindowed } from '../parts/windowed'
import { byName } from '../text/format'
import { useText } from '../text/language'
import { type Figure, figure, figures } from './figures'
import { ServerRow } from './ServerRow'

type Key = 'state' | 'name' | Figure
interface Order {
  key: Key
  down: boolean
}

const rowHeight = 44
const cardHeight = 172
const worst: ServerState[] = ['down', 'suspect', 'joining', 'up', 'removed']

/** Sorts servers; those without the figure come last, equals by name. */
export function sortServers(servers: Server[], { key, down }: Order): Server[] {
  const sign = down ? -1 : 1
  const value = (s: Server): number | undefined => {
    if (key === 'state') return worst.indexOf(s.state)
    return key === 'name' ? 0 : figure(readings.get(s.name), key)?.value
  }
  const keyed = servers.map((s) => ({ s, v: value(s) }))
  keyed.sort((a, b) => {
    if (a.v !== b.v) {
      if (a.v === undefined) return 1
      if (b.v === undefined) return -1
      return (a.v - b.v) * sign
    }
    const names = byName(a.s.name, b.s.name)
    return key === 'name' ? names * sign : names
  })
  return keyed.map((k) => k.s)
}

/** All servers with their figures. Only what is in sight is in the page. */
export function ServerTable({ servers, selection }: { servers: Server[]; selection: Selection | undefined }) {
  const { t } = useText()
  const [order, setOrder] = useState<Order>({ key: 'state', down: false })
  const version = useReadingsVersion()
  // biome-ignore lint/correctness/useExhaustiveDependencies: the version stands for the readings
  const sorted = useMemo(() => sortServers(servers, order), [servers, order, version])

  const height = useCards() ? cardHeight : rowHeight
  const { frame, items, before, after } = useWindowed(sorted.length, height, (i) => sorted[i]?.id ?? i)

  return (
    <div className="table-frame servers-frame" ref={frame}>
      <table className="table servers" aria-label={t('overview.table')} aria-rowcount={sorted.length + 1}>
        <thead>
          <tr aria-rowindex={1}>
            <Head name="state" order={order} onOrder={setOrder}>
              {selection && <All servers={servers} selection={selection} />}
            </Head>
            <Head name="name" order={order} onOrder={setOrder} />
            {figures.map((f) => (
              <Head key={f} name={f} order={order} onOrder={setOrder} number />
            ))}
            <th scope="col">{t('overview.services')}</th>
          </tr>
        </thead>
        <tbody>
          {/* biome-ignore-start lint/a11y/noAriaHiddenOnFocusable: a row takes no focus */}
          {before > 0 && <tr className="spacer" style={{ height: before }} aria-hidden="true" />}
          {items.map((item) => {
            const server = sorted[item.index]
            return (
              server && (
                <ServerRow
                  key={item.key}
                  server={server}
                  index={item.index + 2}
                  chosen={selection?.chosen.has(server.id)}
                  onToggle={selection?.toggle}
                />
              )
            )
          })}
          {after > 0 && <tr className="spacer" style={{ height: after }} aria-hidden="true" />}
          {/* biome-ignore-end lint/a11y/noAriaHiddenOnFocusable: a row takes no focus */}
        </tbody>
      </table>
    </div>
  )
}

interface HeadProps {
  name: Key
  order: Order
  onOrder: (o: Order) => void
  number?: boolean
  children?: ReactNode
}

/** Chooses all servers that are shown. */
function All({ servers, selection }: { servers: Server[]; selection: Selection }) {
  const { t } = useText()
  const ids = servers.map((s) => s.id)
  const { checked, some } = standing(ids, selection.chosen)
  return <Tick label={t('bulk.all')} checked={checked} some={some} onToggle={() => selection.toggleAll(ids)} />
}

function Head({ name, order, onOrder, number, children }: HeadProps) {
  const { t } = useText()
  const chosen = order.key === name
  const label = name === 'state' || name === 'name' ? t(`overview.${name}`) : t(`figure.${name}`)
  // Figures are looked through from the highest down, names and states from the top.
  const next = { key: name, down: chosen ? !order.down : number === true }
  return (
    <th scope="col" data-number={number} aria-sort={chosen ? (order.down ? 'descending' : 'ascending') : undefined}>
      <span className={children ? 'head-cell' : undefined}>
        {children}
        <button type="button" onClick={() => onOrder(next)}>
          {label}
          <span className="sort" data-chosen={chosen}>
            <Glyph name={order.down ? 'down_arrow' : 'up_arrow'} size={12} />
          </span>
        </button>
      </span>
    </th>
  )
}
