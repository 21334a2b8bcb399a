import { useCallback, useMemo, useState } from 'react'

export interface Selection {
  chosen: ReadonlySet<string>
  toggle: (key: string) => void
  /** Chooses all of them; drops them when all are chosen already. */
  toggleAll: (keys: string[]) => void
  clear: () => void
}

/** What is chosen on a screen for doing something to all of it. */
export function useSelection(): Selection {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set())
  const toggleAll = useCallback((keys: string[]) => {
    setChosen((before) => {
      const after = new Set(before)
      const all = keys.every((k) => before.has(k))
      for (const k of keys) {
        if (all) after.delete(k)
        else after.add(k)
      }
      return after
    })
  }, [])
  const toggle = useCallback((key: string) => toggleAll([key]), [toggleAll])
  const clear = useCallback(() => setChosen(new Set()), [])
  return useMemo(() => ({ chosen, toggle, toggleAll, clear }), [chosen, toggle, toggleAll, clear])
}

/** How a box over several stands: all of them chosen, some, or none. */
export function standing(keys: string[], chosen: ReadonlySet<string>): { checked: boolean; some: boolean } {
  const n = keys.filter((k) => chosen.has(k)).length
  return { checked: n > 0 && n === keys.length, some: n > 0 && n < keys.length }
}
