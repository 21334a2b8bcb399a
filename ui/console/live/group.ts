/** Puts what has the same key together, keys in the order they are met. */
export function group<T, K>(items: Iterable<T>, key: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const k = key(item)
    const members = groups.get(k)
    if (members) members.push(item)
    else groups.set(k, [item])
  }
  return groups
}
