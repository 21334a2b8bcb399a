import { cleanup, configure } from '@testing-library/react'
import i18next from 'i18next'
import { initReactI18next } from 'react-i18next'
import { afterEach } from 'vitest'
import en from './text/en.json'
import { addSayings } from './text/language'
import said from './text/said.json'
import zh from './text/zh.json'

configure({ asyncUtilTimeout: 30_000 }) // screens are loaded when they are first shown, on a busy machine too

addSayings('zh', said)

// Texts without a network, for all tests: Chinese unless a test speaks English.
await i18next.use(initReactI18next).init({
  lng: 'zh',
  ns: 'console',
  defaultNS: 'console',
  resources: { zh: { console: zh }, en: { console: en } },
  fallbackLng: false,
  interpolation: { escapeValue: false },
})

afterEach(async () => {
  cleanup()
  localStorage.clear()
  await i18next.changeLanguage('zh')
})
