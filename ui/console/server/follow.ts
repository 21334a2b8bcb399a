import { useCallback, useEffect, useState } from 'react'
import { api } from '../api/client'
import type { LogLine } from '../api/types'
import { EventParser } from '../live/sse'

/** Lines that are kept on the screen; older ones go. */
const kept = 2_000
/** How long lines are gathered before they are shown, and how long until a stream that ended is opened again, in ms. */
const gather = 100
const again = 3_000

export interface Followed {
  lines: string[]
  /** opening: nothing yet; live: lines come as they are written; ended: it is opened again by itself. */
  state: 'opening' | 'live' | 'ended'
  error: unknown
  retry: () => void
}

/** What a log's stream gives: its lines; one that was left out says how much. */
function linesOf(events: { event: string; data: string }[], left: (octets: number) => string): string[] {
  return events
    .filter((e) => e.event === 'line')
    .flatMap((e) => {
      const { line, skipped } = JSON.parse(e.data) as LogLine
      return skipped ? [left(skipped), line] : [line]
    })
}

/** Reads the stream of a log until it ends; tells of lines as they come. */
async function read(id: string, signal: AbortSignal, left: (n: number) => string, tell: (lines: string[]) => void) {
  const res = await api.send('GET', `/services/${id}/log`, { query: { follow: 'true', lines: 200 }, signal })
  const reader = res.body?.getReader()
  const decoder = new TextDecoder()
  const parser = new EventParser()
  tell([])
  for (;;) {
    const piece = await reader?.read()
    if (!piece || piece.done) return
    const events = parser.feed(decoder.decode(piece.value, { stream: true }))
    tell(linesOf(events, left))
    if (events.some((e) => e.event === 'end')) return
  }
}

/** Follows what a service writes, from its last 200 lines on, for as long as it is shown. */
export function useFollowedLog(id: string, left: (octets: number) => string): Followed {
  const [shown, setShown] = useState<Omit<Followed, 'retry'>>({ lines: [], state: 'opening', error: undefined })
  const [attempt, setAttempt] = useState(0)

  // biome-ignore lint/correctness/useExhaustiveDependencies: an attempt is a reason to open it again
  useEffect(() => {
    const abort = new AbortController()
    let fresh: string[] | undefined // replaces what an earlier attempt has shown
    let timer: ReturnType<typeof setTimeout> | undefined
    let reopen: ReturnType<typeof setTimeout> | undefined
    const show = () => {
      timer = undefined
      const lines = (fresh ?? []).slice(-kept)
      setShown({ lines, state: 'live', error: undefined })
    }
    const tell = (lines: string[]) => {
      fresh = [...(fresh ?? []), ...lines].slice(-kept)
      timer ??= setTimeout(show, gather)
    }
    const ended = (error?: unknown) => {
      if (abort.signal.aborted) return
      clearTimeout(timer)
      setShown((s) => ({ lines: (fresh ?? s.lines).slice(-kept), state: 'ended', error }))
      if (!error) reopen = setTimeout(() => setAttempt((n) => n + 1), again)
    }
    read(id, abort.signal, left, tell).then(() => ended(), ended)
    return () => {
      abort.abort()
      clearTimeout(timer)
      clearTimeout(reopen)
    }
  }, [id, attempt])

  const retry = useCallback(() => setAttempt((n) => n + 1), [])
  return { ...shown, retry }
}
