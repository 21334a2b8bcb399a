import { expect, test } from 'vitest'
import type { ServiceConfig } from '../api/types'
import { configOf, draftOf, newService } from './config'

const full: ServiceConfig = {
  command: ['/opt/tomcat/bin/catalina.sh', 'run', 'with space'],
  dir: '/opt/tomcat',
  env: { JAVA_OPTS: '-Xmx1g -Da=b', EMPTY: '' },
  user: 'tomcat',
  after: ['slapd', 'rspamd'],
  stop_signal: 'INT',
  stop_grace: '30s',
  reload_signal: 'USR1',
  limits: { open_files: 65536, processes: 4096, stack: 8 << 20, memory: 512 << 20, cpu: 1.5 },
  probe: { kind: 'http', url: 'http://127.0.0.1:8080/', interval: '10s', timeout: '5s', fails: 3, restart: true },
}
const plain = (v: unknown) => JSON.parse(JSON.stringify(v))

test('settings go through the form unchanged', () => {
  expect(plain(configOf(draftOf(full)))).toEqual(full)
})

test('a service without settings sends none', () => {
  expect(plain(configOf(draftOf()))).toEqual({})
})

test('what the form does not show stays', () => {
  const mailnode: ServiceConfig = { ports: { smtp: 25 }, release: 'r1' }
  expect(plain(configOf(draftOf(mailnode), mailnode))).toEqual(mailnode)
})

test('a probe asks where its kind looks', () => {
  const draft = draftOf()
  expect(configOf({ ...draft, probe: 'tcp', probeTo: '127.0.0.1:25', probeTLS: true }).probe).toMatchObject({
    address: '127.0.0.1:25',
    tls: true,
  })
  expect(configOf({ ...draft, probe: 'command', probeTo: '/bin/check\n-q' }).probe?.command).toEqual([
    '/bin/check',
    '-q',
  ])
})

test('a unit takes no command along', () => {
  const draft = { ...draftOf(), command: '/bin/true', unit: 'slapd.service' }
  const sent = newService(draft, { server: 's', name: 'slapd', kind: 'unit' })
  expect(plain(sent)).toEqual({ server: 's', name: 'slapd', kind: 'unit', unit: 'slapd.service' })
})
