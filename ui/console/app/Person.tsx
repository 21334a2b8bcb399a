import { ActionIcon, useMantineColorScheme } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { useCallback } from 'react'
import { api } from '../api/client'
import type { Session } from '../api/types'
import { useFreshness } from '../live/Live'
import { Glyph } from '../parts/Glyph'
import { useTell } from '../parts/Toasts'
import { speak, useText } from '../text/language'

const schemes = ['auto', 'light', 'dark'] as const
const schemeGlyph = { auto: 'auto', light: 'sun', dark: 'moon' } as const

/** Switches the theme: as the system has it, light, dark. */
export function SchemeSwitch() {
  const { t } = useText()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const next = schemes[(schemes.indexOf(colorScheme) + 1) % schemes.length] ?? 'auto'
  const label = t('person.scheme', { now: t(`person.${colorScheme}`), next: t(`person.${next}`) })
  return (
    <ActionIcon variant="subtle" color="gray" aria-label={label} title={label} onClick={() => setColorScheme(next)}>
      <Glyph name={schemeGlyph[colorScheme]} />
    </ActionIcon>
  )
}

/** Switches between Chinese and English; says the other language in that language. */
export function LanguageSwitch() {
  const { language } = useText()
  const other = language === 'zh' ? 'en' : 'zh'
  return (
    <button type="button" className="language" lang={other === 'zh' ? 'zh-CN' : 'en'} onClick={() => speak(other)}>
      {other === 'zh' ? '中文' : 'English'}
    </button>
  )
}

/** Ends one's session. */
export function useSignOut(): () => Promise<void> {
  const tell = useTell()
  return useCallback(async () => {
    try {
      await api.change('DELETE', '/session')
      location.assign('/') // leaves nothing of the session in memory
    } catch (e) {
      tell.failed(e)
    }
  }, [tell])
}

/** Who is signed in, and what concerns only them. */
export function Person({ session }: { session: Session }) {
  const { t } = useText()
  const freshness = useFreshness()
  const signOut = useSignOut()

  return (
    <footer className="person">
      <div className="stream" data-freshness={freshness}>
        <span className="stream-dot" />
        {t(`connection.${freshness}`)}
      </div>
      <div className="person-row">
        <LanguageSwitch />
        <SchemeSwitch />
      </div>
      <div className="person-row">
        <Link to="/security" className="person-name" title={t('nav.security')}>
          <Glyph name="key" />
          <span>
            {session.user}
            <small>{t(`role.${session.role}`)}</small>
          </span>
        </Link>
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label={t('person.signOut')}
          title={t('person.signOut')}
          onClick={signOut}
        >
          <Glyph name="out" />
        </ActionIcon>
      </div>
    </footer>
  )
}
