import { useSyncExternalStore } from 'react'

/** How often what is written as "3 minutes ago" is looked at again, in ms. */
const tick = 5_000

const listeners = new Set<() => void>()
let now = Date.now()
let timer: ReturnType<typeof setInterval> | undefined

function subscribe(fn: () => void): () => void {
  listeners.add(fn)
  if (!timer) {
    now = Date.now()
    timer = setInterval(() => {
      now = Date.now()
      for (const l of listeners) l()
    }, tick)
  }
  return () => {
    listeners.delete(fn)
    if (listeners.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}

/** The present moment in milliseconds, at most one tick old. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now)
}
