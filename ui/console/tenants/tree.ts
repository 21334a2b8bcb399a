import type { Tenant } from '../api/types'
import { byName } from '../text/format'

export interface Placed extends Tenant {
  /** How many it is below. */
  depth: number
}

/** Tenants by name, each with those below it after it. One whose reseller is not to be seen stands at the top. */
export function treeOf(tenants: Tenant[]): Placed[] {
  const ids = new Set(tenants.map((t) => t.id))
  const parentOf = (t: Tenant) => (t.parent && ids.has(t.parent) ? t.parent : undefined)
  const below = (parent: string | undefined, depth: number): Placed[] =>
    tenants
      .filter((t) => parentOf(t) === parent)
      .sort((a, b) => byName(a.name, b.name))
      .flatMap((t) => [{ ...t, depth }, ...below(t.id, depth + 1)])
  return below(undefined, 0)
}

/** The tenant and all that are below it, of a tree. */
export function familyOf(tree: Placed[], id: string): Set<string> {
  const family = new Set([id])
  for (const t of tree) if (t.parent && family.has(t.parent)) family.add(t.id)
  return family
}
