import { NativeSelect } from '@mantine/core'
import { useNavigate } from '@tanstack/react-router'
import { type KeyboardEvent, type MouseEvent, memo, useState } from 'react'
import type { Server } from '../api/types'
import { useFreshness } from '../live/Live'
import { useNow } from '../live/now'
import { readings, useReadings, useReadingsVersion } from '../live/readings'
import { staleSample } from '../live/stale'
import type { Freshness } from '../live/stream'
import { Section } from '../parts/Screen'
import { toneOf } from '../parts/State'
import { type Text, useText } from '../text/language'
import { type Figure, figure, figures, heat, isPercent, percentSteps, writeFigure } from './figures'

/** Above this many servers tiles are small and only their colour is seen. */
const roomy = 150

/** Every server as a tile, coloured by one figure. */
export function HeatMap({ servers }: { servers: Server[] }) {
  const { t, format } = useText()
  const navigate = useNavigate()
  const freshness = useFreshness()
  const now = useNow()
  const [by, setBy] = useState<Figure>('cpu')
  useReadingsVersion() // the highest value may be any server's
  const values = servers.map((s) => figure(readings.get(s.name), by)?.value ?? 0)
  const highest = Math.max(0, ...values)
  const [pointed, setPointed] = useState<string>()

  return (
    <Section
      title={t('heat.title')}
      aside={
        <div className="heat-aside">
          <Legend by={by} highest={highest} />
          <NativeSelect
            size="xs"
            aria-label={t('heat.by')}
            value={by}
            onChange={(e) => setBy(e.currentTarget.value as Figure)}
            data={figures.map((f) => ({ value: f, label: t(`figure.${f}`) }))}
          />
        </div>
      }
    >
      <nav
        className="heat"
        data-small={servers.length > roomy}
        aria-label={t('heat.label')}
        onKeyDown={moveFocus}
        onClick={(e) => {
          const name = plainClick(e)
          if (!name) return
          e.preventDefault()
          void navigate({ to: '/servers/$server', params: { server: name } })
        }}
        onPointerLeave={() => setPointed(undefined)}
      >
        {servers.map((s, i) => (
          <Tile
            key={s.id}
            server={s}
            by={by}
            highest={isPercent(by) ? 100 : highest}
            first={i === 0}
            freshness={freshness}
            now={now}
            onPoint={setPointed}
            t={t}
            format={format}
          />
        ))}
      </nav>
      {servers.length > roomy && <p className="heat-pointed figures">{pointed ?? t('heat.hint')}</p>}
    </Section>
  )
}

/** The server whose tile was clicked, unless the browser shall open it elsewhere. */
function plainClick(e: MouseEvent<HTMLElement>): string | undefined {
  if (e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return undefined
  return (e.target as Element).closest<HTMLElement>('a.tile')?.dataset.server
}

/** Arrows go from tile to tile, so that the map is a single stop of Tab. */
function moveFocus(e: KeyboardEvent<HTMLElement>) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key]
  if (!step) return
  const tiles = [...e.currentTarget.querySelectorAll('a')]
  const next = tiles[tiles.indexOf(document.activeElement as HTMLAnchorElement) + step]
  if (!next) return
  e.preventDefault()
  for (const tile of tiles) tile.tabIndex = tile === next ? 0 : -1
  next.focus()
}

interface TileProps extends Pick<Text, 't' | 'format'> {
  server: Server
  by: Figure
  highest: number
  first: boolean
  freshness: Freshness
  now: number
  onPoint: (text: string) => void
}

// There may be thousands: plain HTML, and no context but the server's own readings.
const Tile = memo(function Tile({ server, by, highest, first, freshness, now, onPoint, t, format }: TileProps) {
  const v = figure(useReadings(server.name), by)
  const stale = v ? staleSample(freshness, server, v.time, now) : undefined
  const state = t(`state.server.${server.state}`)
  const value = v ? writeFigure(format, by, v.value) : t('heat.nothing')
  const text = `${server.name} · ${state} · ${value}${stale ? ` · ${t('stale.mark')}` : ''}`
  return (
    <a
      href={`/servers/${server.name}`}
      data-server={server.name}
      className="tile"
      data-heat={v && !stale ? heat(by, v.value, highest) : 'none'}
      data-tone={toneOf({ of: 'server', state: server.state })}
      tabIndex={first ? 0 : -1}
      title={text}
      onPointerEnter={() => onPoint(text)}
      onFocus={() => onPoint(text)}
    >
      <span className="tile-name">{server.name}</span>
      <span className="tile-value figures">{value}</span>
      <span className="visually-hidden">{stale ? `${state} ${t('stale.mark')}` : state}</span>
    </a>
  )
})

function Legend({ by, highest }: { by: Figure; highest: number }) {
  const { format } = useText()
  const steps = isPercent(by) ? [0, ...percentSteps] : [0, 25 / 70, 50 / 70, 1].map((s) => s * highest)
  const labels = steps.map((s) => writeFigure(format, by, s))
  return (
    <span className="legend figures" aria-hidden="true">
      {labels.map((label, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: steps have places, not names
        <span key={i} className="legend-step" data-heat={i}>
          {label}
        </span>
      ))}
    </span>
  )
}
