import { act, screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'
import { latest, sampled } from '../../fake/samples'

test('the wizard waits until the server is there, with its preflight and first samples', async () => {
  const user = userEvent.setup()
  const { fleet } = show('/')
  await user.click(await screen.findByRole('button', { name: '添加服务器' }))
  const dialog = await screen.findByRole('dialog', { name: '添加服务器' })
  await user.type(within(dialog).getByLabelText(/名称/), 'mail-hk-9')
  await user.type(within(dialog).getByLabelText(/地址/), '192.0.2.9')
  await user.click(within(dialog).getByRole('button', { name: '添加' }))
  expect(await within(dialog).findByText(/mailfleet-agent join/)).toBeTruthy()
  expect(await within(dialog).findByText('等待代理加入…')).toBeTruthy()
  expect(within(dialog).queryByRole('button', { name: '查看 mail-hk-9' })).toBeNull()

  const server = fleet.tables.servers.find((s) => s.name === 'mail-hk-9')
  if (!server) throw new Error('no server')
  act(() => {
    server.state = 'up'
    server.since = new Date().toISOString()
    fleet.changed('servers', 'updated', server)
  })
  expect(await within(dialog).findByText('代理已加入')).toBeTruthy()
  expect(within(dialog).getByText('等待服务器体检')).toBeTruthy()

  const preflight = fleet.preflight(server)
  act(() => {
    fleet.tables.preflights.push(preflight)
    fleet.changed('preflights', 'created', preflight)
    fleet.tell('samples', { server: server.name, readings: latest(server, sampled, Date.now() / 1000) })
  })
  expect(await within(dialog).findByText('体检完成')).toBeTruthy()
  expect(await within(dialog).findByText('采样已到')).toBeTruthy()
  await user.click(within(dialog).getByRole('button', { name: '查看 mail-hk-9' }))
  await screen.findByRole('heading', { level: 1, name: 'mail-hk-9' })
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
})
