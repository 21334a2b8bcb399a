import { useComputedColorScheme } from '@mantine/core'
import { useEffect, useMemo, useRef } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import type { Point } from '../api/types'
import { useText } from '../text/language'
import { type Unit, write } from '../text/metrics'
import { align, stack } from './align'
import './charts.css'
import { chartOptions } from './options'

export interface Line {
  label: string
  points: Point[]
}

interface TimeChartProps {
  title: string
  unit: Unit
  lines: Line[]
  /** The time axis in unix seconds, and the width of a point. */
  from: number
  to: number
  step: number
  /** Lays the lines on top of each other. */
  stacked?: boolean
  /** Points are days of UTC. */
  days?: boolean
}

/** One chart over time. Charts on the same screen share their cursor. */
export function TimeChart({ title, unit, lines, from, to, step, stacked, days }: TimeChartProps) {
  const { t, format, language } = useText()
  const scheme = useComputedColorScheme('light')
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(null)

  const { data, columns } = useMemo(() => {
    const points = lines.map((l) => l.points)
    const [times, ...values] = align(points, step)
    return { data: [times, ...(stacked ? stack(values) : values)] as uPlot.AlignedData, columns: values }
  }, [lines, step, stacked])
  const now = useRef({ data, columns, from, to })
  now.current = { data, columns, from, to }
  const labels = lines.map((l) => l.label).join('\n')

  // A new plot only when its look changes; new data goes into the old one.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the colour scheme and the language are read from the page
  useEffect(() => {
    const el = box.current
    if (!el) return
    const options = chartOptions({
      width: el.clientWidth,
      labels: labels.split('\n'),
      stacked: stacked === true,
      time: t('chart.time'),
      format,
      write: (v) => write(format, unit, v),
      percent: unit === 'percent',
      binary: unit === 'bytes' || unit === 'rate',
      days: days === true,
      span: () => [now.current.from, now.current.to],
      column: (i) => now.current.columns[i],
      css: getComputedStyle(el),
    })
    const u = new uPlot(options, now.current.data, el)
    plot.current = u
    const resized = new ResizeObserver(() => u.setSize({ width: el.clientWidth, height: options.height }))
    resized.observe(el)
    return () => {
      resized.disconnect()
      u.destroy()
      plot.current = null
    }
  }, [labels, unit, stacked, days, scheme, language])

  // biome-ignore lint/correctness/useExhaustiveDependencies: the span is read while drawing
  useEffect(() => plot.current?.setData(data), [data, from, to])

  return (
    <figure className="chart">
      <figcaption>{title}</figcaption>
      <p className="visually-hidden">
        {lines.map((l) => {
          const last = l.points.at(-1)?.[1]
          return `${l.label}: ${typeof last === 'number' ? write(format, unit, last) : '—'}. `
        })}
      </p>
      <div ref={box} className="chart-box" aria-hidden="true" />
    </figure>
  )
}
