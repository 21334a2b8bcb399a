import i18next from 'i18next'
import { useCallback } from 'react'
import { initReactI18next, useTranslation } from 'react-i18next'
import type { Sentence } from '../api/types'
import en from './en.json?url'
import { Format, type Language } from './format'
import said from './said.json?url'
import type zh from './zh.json'
import zhCN from './zh.json?url'

declare module 'i18next' {
  interface CustomTypeOptions {
    defaultNS: 'console'
    resources: { console: typeof zh }
  }
}

const files: Record<Language, string> = { zh: zhCN, en }

/** What the programs say, by its English template, in the languages that are not theirs. */
const sayings: Partial<Record<Language, string>> = { zh: said }
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
    const sayingsOf = sayings[language]
    if (sayingsOf) addSayings(language, await (await fetch(sayingsOf)).json())
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

const known = new Map<string, Record<string, string>>()

/** Makes what the programs say ready in a language. */
export const addSayings = (language: Language, texts: Record<string, string>) => void known.set(language, texts)

/**
 * What a program said, in the language; in its own English where nobody has
 * translated it. A text that came without its parts is its own template.
 */
export function translate(language: Language, text: string, said?: Sentence): string {
  const texts = known.get(language)
  const template = texts?.[said?.template ?? text] ?? (texts && said?.within && said.template)
  return template?.replace(/\{(\d+)\}/g, (_, n) => param(language, said, n)) ?? text
}

/** A param, in the language when it is a sentence or a word of the fleet itself. */
function param(language: Language, said: Sentence | undefined, n: string): string {
  const text = said?.params?.[Number(n) - 1] ?? ''
  const within = said?.within?.[n]
  return within ? translate(language, text, within) : text
}

const formats: Record<Language, Format> = { zh: new Format('zh'), en: new Format('en') }

export type Text = ReturnType<typeof useText>

/** Texts and formats of the current language, and what the programs say in it. */
export function useText() {
  const { t, i18n } = useTranslation()
  const language: Language = i18n.language === 'en' ? 'en' : 'zh'
  const say = useCallback((text: string, said?: Sentence) => translate(language, text, said), [language])
  return { t, say, format: formats[language], language }
}
