import { expect, test } from 'vitest'
import type { MailFlow } from '../api/types'
import { configOf, draftOf, settingsOf } from './config'
import { flowDraft, flowOf } from './flow'

const flow: MailFlow = {
  message_size: 20 * 2 ** 20,
  receiving: {
    proxy_from: ['192.0.2.0/24'],
    blocklists: ['bl.example.test'],
    greylisting: 'on',
    sealers: ['lists.example.test'],
    address_connections: 20,
    listeners: [{ port: 2525, greylisting: 'off', connections: 100 }],
  },
  hooks_to: ['192.0.2.0/24'],
  submission: { brake_least: 80 },
  sending: { port: 2500 },
}

test('a form that nothing is typed into changes nothing', () => {
  expect(JSON.parse(JSON.stringify(flowOf(flowDraft(flow), flow)))).toEqual(flow)
})

test('what is typed is said, and what is emptied is left to the usual', () => {
  const typed = {
    ...flowDraft(flow),
    message_size: '',
    mail_max: '9',
    tarpit: 'off',
    blocklists: 'a.test\n b.test',
    greylisting: '',
    sealers: '',
    hooks_to: '192.0.2.1, 198.51.100.0/24',
    address_connections: '',
    network_connections: '90',
  }
  const said = JSON.parse(JSON.stringify(flowOf(typed, flow)))
  expect(said).toEqual({
    ...flow,
    message_size: undefined,
    mail_max: 9,
    hooks_to: ['192.0.2.1', '198.51.100.0/24'],
    receiving: {
      proxy_from: ['192.0.2.0/24'],
      tarpit: 'off',
      blocklists: ['a.test', 'b.test'],
      network_connections: 90,
      listeners: [{ port: 2525, greylisting: 'off', connections: 100 }],
    },
  })
})

test('the dialog of how a service is run keeps how it handles mail', () => {
  const service = { kind: 'mailnode', mail: flow } as unknown as Parameters<typeof settingsOf>[0]
  const before = settingsOf(service)
  expect(before).toEqual({ mail: flow })
  expect(configOf(draftOf(before), before).mail).toEqual(flow)
})
