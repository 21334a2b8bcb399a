import { type CSSVariablesResolver, createTheme } from '@mantine/core'

const fonts =
  'system-ui, -apple-system, "Segoe UI", Roboto, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", sans-serif'

export const theme = createTheme({
  fontFamily: fonts,
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace',
  primaryColor: 'brand',
  primaryShade: { light: 7, dark: 6 },
  defaultRadius: 'sm',
  cursorType: 'pointer',
  respectReducedMotion: true,
  colors: {
    brand: [
      '#eaf4fb',
      '#cfe4f3',
      '#a4cbe7',
      '#74b0da',
      '#4a97cd',
      '#2a80bd',
      '#136ba8',
      '#0b5c8f',
      '#084b76',
      '#05395a',
    ],
    dark: [
      '#dde3e9',
      '#b9c2cb',
      '#9aa5b0',
      '#7b8793',
      '#45515d',
      '#313b46',
      '#232b33',
      '#171d23',
      '#11161b',
      '#0c1014',
    ],
  },
})

/** Mantine's grey and red are too pale for small text (WCAG 2.2 §1.4.3). */
export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-dimmed': '#55616d',
    '--mantine-color-error': '#b91c2b',
    '--mantine-color-placeholder': '#66727e',
  },
  dark: {
    '--mantine-color-dimmed': '#9aa5b0',
    '--mantine-color-error': '#ff8f87',
    '--mantine-color-placeholder': '#8d99a5',
  },
})

/** The nonce the controller put into this page for the styles Mantine writes. */
export const nonce = () => document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? ''
