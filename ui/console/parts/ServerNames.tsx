import { TextInput } from '@mantine/core'
import { useId } from 'react'
import { useServers } from '../api/queries'

/** The names in a list that is typed, parted by commas or spaces. */
export const namesIn = (text: string) => text.split(/[\s,，、]+/).filter(Boolean)

/** Names of servers, typed with the fleet's at hand. */
export function ServerNames({ label, description, field }: { label: string; description?: string; field: object }) {
  const list = useId()
  const servers = useServers().data ?? []
  return (
    <>
      <TextInput label={label} description={description} list={list} spellCheck={false} autoComplete="off" {...field} />
      <datalist id={list}>
        {servers.slice(0, 200).map((s) => (
          <option key={s.id} value={s.name} />
        ))}
      </datalist>
    </>
  )
}
