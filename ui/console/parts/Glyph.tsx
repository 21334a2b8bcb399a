const paths = {
  overview: 'M2 2h5v5H2zM9 2h5v5H9zM2 9h5v5H2zM9 9h5v5H9z',
  alerts: 'M8 2a4 4 0 0 1 4 4v3l1.5 2.5h-11L4 9V6a4 4 0 0 1 4-4zM6.5 14h3',
  operations: 'M2.5 4.5 4 6l2.5-3M2.5 11.5 4 13l2.5-3M9 4.5h5M9 11.5h5',
  rules: 'M2 5h6M12 5h2M10 3.2v3.6M2 11h2M8 11h6M6 9.2v3.6',
  contacts: 'M8 8a2.6 2.6 0 1 0 0-5.2A2.6 2.6 0 0 0 8 8zM2.8 13.6a5.2 5.2 0 0 1 10.4 0',
  sms: 'M2 3h12v8H7.5L4.5 13.5V11H2zM5 6h6M5 8.3h4',
  domains: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM2 8h12M8 2c2.4 3.6 2.4 8.4 0 12M8 2c-2.4 3.6-2.4 8.4 0 12',
  accounts: 'M2 3.5h12v9H2zM2 4l6 5 6-5',
  audit: 'M4 2h5.5L12.5 5v9H4zM6.5 7h4M6.5 9.3h4M6.5 11.6h2.5',
  people:
    'M6 7.4a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6zM1.8 13a4.2 4.2 0 0 1 8.4 0M10.6 7.2a2 2 0 1 0-.6-3.9M11.6 9.2a3.8 3.8 0 0 1 2.8 3.6',
  tenants: 'M3 14V2.5h6V14M9 6h4v8M1.5 14h13M5.2 5h1.6M5.2 8h1.6M5.2 11h1.6',
  plans: 'M8 2 14 5 8 8 2 5zM2.5 8 8 10.8 13.5 8M2.5 11 8 13.8 13.5 11',
  tokens: 'M5 4.5 1.8 8 5 11.5M11 4.5 14.2 8 11 11.5M9.2 3 6.8 13',
  sessions: 'M2 3h12v8H2zM6 13.5h4M8 11v2.5',
  policy: 'M8 2 13 4v4c0 3-2.2 5-5 6-2.8-1-5-3-5-6V4zM5.8 8l1.6 1.6L10.4 6.4',
  up: 'M3 8.5 6.5 12 13 4.5',
  warning: 'M8 2 14.5 13.5h-13zM8 6.5v3M8 11.4v.4',
  down: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  waiting: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 5v3.2L10.2 10',
  stopped: 'M4 4h8v8H4z',
  running: 'M5 3.5 12.5 8 5 12.5z',
  moving: 'M13 8a5 5 0 1 1-1.6-3.7M13 2.5v3h-3',
  unknown: 'M5.6 6a2.4 2.4 0 1 1 3.6 2.1c-.8.5-1.2.9-1.2 1.9M8 12.4v.4',
  removed: 'M3 8h10',
  info: 'M8 7.2v5M8 3.8v.5',
  stale: 'M4.5 2.5h7L8 8zM4.5 13.5h7L8 8z',
  menu: 'M2 4h12M2 8h12M2 12h12',
  close: 'M4 4l8 8M12 4l-8 8',
  search: 'M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.3 10.3 14 14',
  plus: 'M8 3v10M3 8h10',
  sun: 'M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6zM8 1.2v1.4M8 13.4v1.4M1.2 8h1.4M13.4 8h1.4M3.2 3.2l1 1M11.8 11.8l1 1M12.8 3.2l-1 1M4.2 11.8l-1 1',
  moon: 'M13 9.6A5.6 5.6 0 0 1 6.4 3 5.6 5.6 0 1 0 13 9.6z',
  auto: 'M8 2.2a5.8 5.8 0 1 0 0 11.6zM8 2.2a5.8 5.8 0 0 1 0 11.6',
  out: 'M6 2.5H3v11h3M7 8h7M11 5l3 3-3 3',
  key: 'M6 7a3 3 0 1 0-1 5.8A3 3 0 0 0 7.5 9L13.5 3M11 5.5l1.8 1.8',
  copy: 'M5.5 5.5V2.5h8v8h-3M2.5 5.5h8v8h-8z',
  log: 'M2 3h12v10H2zM4.5 6 6.5 8l-2 2M8.5 10.5h3',
  below: 'M4 2.5V9h8M9 6l3 3-3 3',
  services: 'M2 3h12v4H2zM2 9h12v4H2zM4.5 5h.1M4.5 11h.1M8 5h3.5M8 11h3.5',
  pools:
    'M8 2a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM3.5 10a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM12.5 10a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM7 5.8 4.6 10.2M9 5.8l2.4 4.4M5.5 12h5',
  windows: 'M2.5 3.5h11v10h-11zM2.5 6.5h11M5.5 2v3M10.5 2v3M6 9.5l1.5 1.5 3-3',
  queue: 'M2 3.5h12M2 8h12M2 12.5h7M11.5 12.5l1.5 1.5M13 11v3',
  ledger: 'M3 13.5V8.5M6.5 13.5v-8M10 13.5V7M13.5 13.5V3',
  releases: 'M8 2 13.5 5v6L8 14l-5.5-3V5zM2.5 5 8 8l5.5-3M8 8v6',
  power: 'M8 2v6M4.8 4.2a5 5 0 1 0 6.4 0',
  more: 'M3.5 8h.1M8 8h.1M12.5 8h.1',
  up_arrow: 'M8 13V3.5M4 7l4-4 4 4',
  down_arrow: 'M8 3v9.5M4 9l4 4 4-4',
} as const

export type GlyphName = keyof typeof paths

/** A small drawing beside a word; never the only carrier of a meaning. */
export function Glyph({ name, size = 16 }: { name: GlyphName; size?: number }) {
  return (
    <svg className="glyph" viewBox="0 0 16 16" width={size} height={size} aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  )
}

/** Mailfleet's mark: envelopes sailing in line. */
export function Logo() {
  return (
    <svg className="logo" viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="#0b5c8f" />
      <g fill="none" strokeLinecap="round" strokeLinejoin="round" strokeWidth="2.6">
        <path d="M7 20.5 16 27l9-6.5" stroke="#5fa8d3" />
        <path d="M7 13.5 16 20l9-6.5" stroke="#a9d3ec" />
        <path d="M7 6.5 16 13l9-6.5" stroke="#fff" />
      </g>
    </svg>
  )
}
