import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'
import type { Server, Service } from '../api/types'
import { serviceNames } from './data'

/** Puts a second service on a server. */
function add(server: Server | undefined, state: Service['state']) {
  const [mailnode] = server?.services ?? []
  if (!server || !mailnode) throw new Error('no mailnode')
  server.services = [mailnode, { ...mailnode, id: crypto.randomUUID(), name: 'rspamd', kind: 'command', state }]
}

test('services stand across, servers down; a gap where a server has none', async () => {
  const { fleet, client } = withServices()
  await client
  const table = await screen.findByRole('table', { name: '服务' })
  expect(
    within(table)
      .getAllByRole('columnheader')
      .map((h) => h.textContent),
  ).toEqual(['服务器', 'mailnode', 'rspamd'])
  const row = within(table).getByRole('row', { name: /mail-sh-3/ })
  expect(
    within(row)
      .getAllByRole('cell')
      .map((c) => c.textContent),
  ).toEqual(['运行中', '—'])
  expect(serviceNames(fleet.tables.servers)).toEqual(['mailnode', 'rspamd'])
})

function withServices() {
  const view = show('/contacts')
  add(view.fleet.tables.servers[0], 'crashed')
  add(view.fleet.tables.servers[1], 'running')
  return { ...view, client: view.router.navigate({ to: '/services' }) }
}

test('a column, a row and a cell are chosen, and a state narrows what a column chooses', async () => {
  const user = userEvent.setup()
  const { requests } = withServices()
  await user.click(await screen.findByRole('checkbox', { name: '选择所有 rspamd' }))
  expect(screen.getByText('已选 2 个服务')).toBeTruthy()
  await user.click(screen.getByRole('checkbox', { name: '选择 mail-sh-3 上的全部服务' }))
  expect(screen.getByText('已选 3 个服务')).toBeTruthy()
  await user.click(screen.getByRole('button', { name: '取消选择' }))
  await user.selectOptions(screen.getByLabelText('状态'), 'crashed')
  await user.click(screen.getByRole('checkbox', { name: '选择所有 rspamd' }))
  expect(screen.getByText('已选 1 个服务')).toBeTruthy()
  await user.click(screen.getByRole('checkbox', { name: '选择 mail-hk-1 上的 mailnode' }))
  await user.click(within(screen.getByRole('region', { name: '对所选的操作' })).getByRole('button', { name: '重启' }))
  const dialog = await screen.findByRole('dialog', { name: '重启服务（2 个目标）' })
  const button = within(dialog).getByRole('button', { name: '重启' })
  await waitFor(() => expect(button.hasAttribute('disabled')).toBe(false))
  await user.click(button)
  await screen.findByRole('heading', { level: 1, name: '重启服务（2 个目标）' })
  const post = requests.find((r) => r.method === 'POST' && r.url === '/api/v1/operations')
  expect(post?.body).toMatchObject({
    kind: 'service.restart',
    targets: [{ service: 'mailnode' }, { service: 'rspamd' }],
    rolling: { batch: 1 },
  })
})

test('who may only look chooses nothing', async () => {
  show('/services', { role: 'viewer' })
  await screen.findByRole('table', { name: '服务' })
  expect(screen.queryByRole('checkbox')).toBeNull()
})

test('settings are put in place of those of several services, and only what is filled in', async () => {
  const user = userEvent.setup()
  const { requests } = show('/services')
  await user.click(await screen.findByRole('checkbox', { name: '选择所有 mailnode' }))
  await user.click(screen.getByRole('button', { name: '应用设置' }))
  const dialog = await screen.findByRole('dialog', { name: /更改服务设置/ })
  expect(await within(dialog).findByRole('region', { name: '影响' })).toBeTruthy()
  await user.click(within(dialog).getByText('资源限制'))
  await user.type(within(dialog).getByLabelText('打开文件数'), '65536')
  const button = within(dialog).getByRole('button', { name: '应用设置' })
  await waitFor(() => expect(button.hasAttribute('disabled')).toBe(false))
  await user.click(button)
  const asked = await waitFor(() => {
    const found = requests.find((r) => r.url === '/api/v1/operations')
    expect(found).toBeTruthy()
    return found?.body as { params: { config: object } }
  })
  expect(asked).toMatchObject({ kind: 'config.apply', params: { config: { limits: { open_files: 65536 } } } })
  expect(Object.keys(asked.params.config)).toEqual(['limits'])
})
