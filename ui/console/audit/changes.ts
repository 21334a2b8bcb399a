/** One thing that an act changed: "limits.quota", what it was and what it became. */
export interface Changed {
  field: string
  before: string
  after: string
}

/** What of a thing says nothing of an act: it changes with every one. */
const dull = new Set(['version', 'updated'])

const isObject = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null && !Array.isArray(v)

function parse(json: string | undefined): unknown {
  try {
    return json ? JSON.parse(json) : undefined
  } catch {
    return json
  }
}

const write = (v: unknown) => (v === undefined ? '' : typeof v === 'string' ? v : JSON.stringify(v))

/** What differs between a thing before and after an act, field by field, as the audit log has them. */
export function changes(before: string | undefined, after: string | undefined): Changed[] {
  const found: Changed[] = []
  const walk = (field: string, x: unknown, y: unknown) => {
    if (isObject(x) || isObject(y)) {
      const [a, b] = [isObject(x) ? x : {}, isObject(y) ? y : {}]
      for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
        if (field || !dull.has(key)) walk(field ? `${field}.${key}` : key, a[key], b[key])
    } else if (write(x) !== write(y)) found.push({ field, before: write(x), after: write(y) })
  }
  walk('', parse(before), parse(after))
  return found
}
