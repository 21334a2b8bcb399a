import { useQueryClient } from '@tanstack/react-query'
import { createContext, type ReactNode, use, useEffect, useState } from 'react'
import { api } from '../api/client'
import type { Change, FreshSamples } from '../api/types'
import { Applier } from './apply'
import { readings } from './readings'
import type { StreamEvent } from './sse'
import { type Freshness, Stream } from './stream'

export const FreshnessContext = createContext<Freshness>('connecting')

/** Whether the screen is kept fresh by the event stream. */
export const useFreshness = () => use(FreshnessContext)

/** Keeps everything below it fresh for as long as it is shown: all that changed after `index`. */
export function Live({ index, children }: { index?: number; children: ReactNode }) {
  const client = useQueryClient()
  const [from] = useState(index)
  const [freshness, setFreshness] = useState<Freshness>('connecting')

  useEffect(() => {
    const applier = new Applier(client)
    const readAfresh = () => void client.invalidateQueries()
    const onEvent = ({ event, data }: StreamEvent) => {
      if (event === 'change') applier.add(JSON.parse(data) as Change)
      else if (event === 'samples') readings.add((JSON.parse(data) as FreshSamples).readings)
      else if (event === 'reset') readAfresh()
    }
    const stream = new Stream({
      url: '/api/v1/events',
      after: from,
      onEvent,
      onFreshness: setFreshness,
      onGap: readAfresh,
      onSignedOut: () => api.onSignedOut(),
    })
    stream.start()
    return () => {
      stream.stop()
      applier.stop()
    }
  }, [client, from])

  return <FreshnessContext value={freshness}>{children}</FreshnessContext>
}
