import { NativeSelect, TextInput } from '@mantine/core'
import { useDeferredValue, useState } from 'react'
import { useServers } from '../api/queries'
import { useMay } from '../app/rights'
import { Screen } from '../parts/Screen'
import { useText } from '../text/language'
import { SessionTable, sessionKinds } from './SessionTable'

/** Everybody who is signed in, on the console and on the mail services of all servers. */
export default function Sessions() {
  const { t } = useText()
  const mayServers = useMay('servers', 'read')
  const servers = useServers().data ?? []
  const [kind, setKind] = useState('')
  const [server, setServer] = useState('')
  const [who, setWho] = useState('')
  const filter = useDeferredValue({ kind, server, who: who.trim() })
  return (
    <Screen title={t('nav.sessions')}>
      <search className="toolbar">
        <TextInput
          type="search"
          size="xs"
          label={t('sessions.who')}
          spellCheck={false}
          autoCapitalize="none"
          maxLength={320}
          value={who}
          onChange={(e) => setWho(e.currentTarget.value)}
        />
        <NativeSelect
          size="xs"
          label={t('sessions.kind')}
          data={[
            { value: '', label: t('sessions.anyKind') },
            ...sessionKinds.map((value) => ({ value, label: t(`sessionKind.${value}`) })),
          ]}
          value={kind}
          onChange={(e) => setKind(e.currentTarget.value)}
        />
        {mayServers && (
          <NativeSelect
            size="xs"
            label={t('sessions.server')}
            data={[
              { value: '', label: t('sessions.anyServer') },
              ...servers.filter((s) => s.state !== 'removed').map((s) => ({ value: s.name, label: s.name })),
            ]}
            value={server}
            onChange={(e) => setServer(e.currentTarget.value)}
          />
        )}
      </search>
      <SessionTable filter={filter} label={t('nav.sessions')} />
    </Screen>
  )
}
