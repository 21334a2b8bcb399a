import { Link } from '@tanstack/react-router'
import { memo } from 'react'
import type { Server, ServiceState } from '../api/types'
import { useFreshness } from '../live/Live'
import { State } from '../parts/State'
import { type Selection, standing } from '../parts/selection'
import { Tick } from '../parts/Tick'
import { useCards, useWindowed } from '../parts/windowed'
import { useText } from '../text/language'
import { serviceOn } from './data'

const rowHeight = 40

interface GridProps {
  servers: Server[]
  names: string[]
  /** Only services in this state can be chosen by row and column. */
  state: ServiceState | undefined
  /** Absent when nothing may be done. */
  selection: Selection | undefined
}

const choosable = (servers: Server[], state: ServiceState | undefined, name?: string) =>
  servers.flatMap((s) =>
    s.services.filter((v) => (!name || v.name === name) && (!state || v.state === state)).map((v) => v.id),
  )

/** Servers down, services across. Only what is in sight is in the page. */
export function Grid({ servers, names, state, selection }: GridProps) {
  const { t } = useText()
  const cards = useCards()
  const height = cards ? 56 + names.length * 34 : rowHeight
  const { frame, items, before, after } = useWindowed(servers.length, height, (i) => servers[i]?.id ?? i)
  return (
    <div className="table-frame" ref={frame}>
      <table className="table matrix" aria-label={t('nav.services')} aria-rowcount={servers.length + 1}>
        <thead>
          <tr aria-rowindex={1}>
            <th scope="col">{t('overview.name')}</th>
            {names.map((name) => (
              <th key={name} scope="col">
                <span className="matrix-cell">
                  {selection && (
                    <Several
                      label={t('matrix.column', { service: name })}
                      ids={choosable(servers, state, name)}
                      selection={selection}
                    />
                  )}
                  {name}
                </span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {/* biome-ignore-start lint/a11y/noAriaHiddenOnFocusable: a row takes no focus */}
          {before > 0 && <tr className="spacer" style={{ height: before }} aria-hidden="true" />}
          {items.map((item) => {
            const server = servers[item.index]
            return (
              server && (
                <Row
                  key={item.key}
                  server={server}
                  names={names}
                  state={state}
                  index={item.index + 2}
                  height={cards ? height - 8 : undefined}
                  selection={selection}
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

function Several({ label, ids, selection }: { label: string; ids: string[]; selection: Selection }) {
  const { checked, some } = standing(ids, selection.chosen)
  return <Tick label={label} checked={checked} some={some} onToggle={() => selection.toggleAll(ids)} />
}

interface RowProps extends Pick<GridProps, 'names' | 'state' | 'selection'> {
  server: Server
  index: number
  height: number | undefined
}

const Row = memo(function Row({ server, names, state, index, height, selection }: RowProps) {
  const { t } = useText()
  const stale = useFreshness() === 'lost'
  return (
    <tr aria-rowindex={index} style={{ height }}>
      <th scope="row" data-label="">
        <span className="matrix-cell">
          {selection && (
            <Several
              label={t('matrix.row', { server: server.name })}
              ids={choosable([server], state)}
              selection={selection}
            />
          )}
          <Link to="/servers/$server" params={{ server: server.name }} className="row-link">
            {server.name}
          </Link>
          <small className="dim">{server.region}</small>
        </span>
      </th>
      {names.map((name) => {
        const service = serviceOn(server, name)
        if (!service)
          return (
            <td key={name} data-label={name}>
              <span className="dim">—</span>
            </td>
          )
        return (
          <td key={name} data-label={name} data-chosen={selection?.chosen.has(service.id)}>
            <span className="matrix-cell">
              {selection && (
                <Tick
                  label={t('matrix.cell', { service: name, server: server.name })}
                  checked={selection.chosen.has(service.id)}
                  onToggle={() => selection.toggle(service.id)}
                />
              )}
              <State of="service" state={service.state} stale={stale} />
              {service.drained && <span className="mark">{t('service.drained')}</span>}
            </span>
          </td>
        )
      })}
    </tr>
  )
})
