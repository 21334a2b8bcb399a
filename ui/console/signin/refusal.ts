import { ProblemError } from '../api/client'
import { seconds } from '../text/format'
import type { Text } from '../text/language'

/** Whether the controller wants the code of a second factor before it says more. */
export const wantsCode = (e: unknown) => e instanceof ProblemError && e.status === 401 && e.field('code') !== undefined

/** A refused sign-in in the reader's language; what this console knows no words for stays as the controller put it. */
export function refusal(e: unknown, { t, format }: Pick<Text, 't' | 'format'>): unknown {
  if (!(e instanceof ProblemError)) return e
  if (e.status === 401 && e.field('code')) return new Error(t('signin.wrongCode'))
  if (e.status === 401) return new Error(t(/not let in/.test(e.message) ? 'signin.disabled' : 'signin.wrong'))
  const wait = /try again in ([\dhms.]+)$/.exec(e.message)?.[1]
  if (e.status === 429 && wait) return new Error(t('signin.locked', { time: format.duration(seconds(wait)) }))
  return e
}
