import type { Server } from '../api/types'
import type { Freshness } from './stream'

/** Samples older than this are stale: two intervals of the default 300 s, and a minute for the way. */
export const staleAfter = 660_000

/** Why a value must not be shown as fresh; undefined when it may. */
export type Staleness = 'stream' | 'server' | 'age' | undefined

/** Whether a sample of a server, taken at `time`, is fresh. */
export function staleSample(
  freshness: Freshness,
  server: Pick<Server, 'state' | 'clock_skew'>,
  time: number,
  now: number,
): Staleness {
  if (freshness === 'lost') return 'stream'
  if (server.state !== 'up' && server.state !== 'suspect') return 'server'
  const taken = time - server.clock_skew * 1000 // samples carry the agent's clock
  return now - taken > staleAfter ? 'age' : undefined
}
