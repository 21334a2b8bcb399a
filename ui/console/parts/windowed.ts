import { useMediaQuery } from '@mantine/hooks'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { useLayoutEffect, useRef, useState } from 'react'

/** Whether rows are cards, as on a phone. */
export const useCards = () => useMediaQuery('(max-width: 720px)', false, { getInitialValueInEffect: false })

/** Of many rows of one height only those in sight, and the room that the others would take. */
export function useWindowed(count: number, height: number, keyOf: (i: number) => string | number) {
  const frame = useRef<HTMLDivElement>(null)
  const [top, setTop] = useState(0)
  useLayoutEffect(() => {
    const measure = () => setTop(frame.current?.offsetTop ?? 0)
    measure()
    const above = new ResizeObserver(measure) // what stands above comes and goes
    above.observe(document.body)
    return () => above.disconnect()
  }, [])
  const rows = useWindowVirtualizer({
    count,
    estimateSize: () => height,
    overscan: 8,
    scrollMargin: top,
    getItemKey: keyOf,
  })
  // biome-ignore lint/correctness/useExhaustiveDependencies: another height needs another measure
  useLayoutEffect(() => rows.measure(), [height])

  const items = rows.getVirtualItems()
  return {
    frame,
    items,
    before: (items[0]?.start ?? top) - top,
    after: rows.getTotalSize() - ((items.at(-1)?.end ?? top) - top),
  }
}
