import { useCallback } from 'react'
import { useSession } from '../api/queries'

/** What one may do with a resource of the API; who may write may do everything but read. */
export type Verb = 'read' | 'write' | 'change' | 'suspend' | 'delete' | 'password'

/** Looks up what the signed-in person may do. */
export function useRights(): (resource: string, verb: Verb) => boolean {
  const rights = useSession().data?.rights
  return useCallback((resource, verb) => rights?.includes(`${resource}:${verb}`) ?? false, [rights])
}

/** Whether the signed-in person may do something; what they may not is not offered to them. */
export const useMay = (resource: string, verb: Verb): boolean => useRights()(resource, verb)
