import i18next from 'i18next'
import { initReactI18next, useTranslation } from 'react-i18next'
import en from './en.json?url'
import { Format, type Language } from './format'
import type zh from './zh.json'
import zhCN from './zh.json?url'

declare module 'i18next' {
  interface CustomTypeOptions {
    defaultNS: 'console'
    resources: { console: typeof zh }
  }
}

const files: Record<Language, string> = { zh: zhCN, en }
const stored = 'mailfleet.language'

/** The reader's language: the one chosen before, else the browser's first that there is, else Chinese. */
export function preferred(): Language {
  const wanted = [localStorage.getItem(stored) ?? '', ...navigator.languages].map((l) => l.slice(0, 2))
  return wanted.find((l) => l === 'zh' || l === 'en') ?? 'zh'
}

async function load(language: Language): Promise<void> {
  if (!i18next.hasResourceBundle(language, 'console')) {
    const res = await fetch(files[language])
    i18next.addResourceBundle(language, 'console', await res.json())
  }
  await i18next.changeLanguage(language)
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en'
}

/** Makes the texts of the preferred language ready. */
export async function startText(language = preferred()): Promise<void> {
  await i18next.use(initReactI18next).init({
    ns: 'console',
    defaultNS: 'console',
    fallbackLng: false,
    interpolation: { escapeValue: false }, // React escapes
  })
  await load(language)
}

export async function speak(language: Language): Promise<void> {
  await load(language)
  localStorage.setItem(stored, language)
}

const formats: Record<Language, Format> = { zh: new Format('zh'), en: new Format('en') }

export type Text = ReturnType<typeof useText>

/** Texts and formats of the current language. */
export function useText() {
  const { t, i18n } = useTranslation()
  const language: Language = i18n.language === 'en' ? 'en' : 'zh'
  return { t, format: formats[language], language }
}
