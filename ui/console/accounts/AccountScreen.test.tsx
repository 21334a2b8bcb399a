import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'

test("an account's page tells how full it is and who signs in to it", async () => {
  show('/accounts/user1@example.test')
  expect(await screen.findByRole('heading', { level: 1, name: 'user1@example.test' })).toBeTruthy()
  expect((await screen.findByRole('meter', { name: '已用空间' })).getAttribute('value')).toBe(String(980 * 2 ** 20))
  expect(screen.getByText('980 MiB / 1.0 GiB（96%）')).toBeTruthy()
  expect(within(screen.getByRole('table', { name: '邮箱文件夹' })).getByText('INBOX')).toBeTruthy()
  expect(await screen.findByText('被拒绝: wrong password')).toBeTruthy()
  expect(await screen.findByText('Thunderbird')).toBeTruthy()
})

test('an application password is shown this once and revoked', async () => {
  const user = userEvent.setup()
  const { fleet, requests } = show('/accounts/user1@example.test')
  await user.click(await screen.findByRole('button', { name: '新建应用专用密码' }))
  const dialog = screen.getByRole('dialog')
  await user.type(within(dialog).getByLabelText(/应用或设备/), '手机')
  await user.click(within(dialog).getByRole('switch', { name: 'IMAP' }))
  await user.click(within(dialog).getByRole('button', { name: '添加' }))
  expect(await screen.findByText('abcd efgh ijkl mnop')).toBeTruthy()
  expect(requests.find((r) => r.method === 'POST')?.body).toEqual({ name: '手机', protocols: ['imap'] })
  await user.click(screen.getByRole('button', { name: '完成' }))
  expect(screen.queryByText('abcd efgh ijkl mnop')).toBeNull()
  await user.click(await screen.findByRole('button', { name: '吊销: 手机' }))
  await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: '吊销' }))
  await waitFor(() => expect(fleet.tables.accounts[0]?.app_passwords).toEqual([]))
})

test('what an account may use is changed in the version that was seen', async () => {
  const user = userEvent.setup()
  const { fleet, requests } = show('/accounts/user1@example.test')
  const version = fleet.tables.accounts[0]?.version
  await user.click(await screen.findByRole('button', { name: '编辑' }))
  const dialog = screen.getByRole('dialog')
  const quota = within(dialog).getByLabelText('邮箱容量 (MiB)')
  expect(quota.getAttribute('placeholder')).toBe('1.0 GiB')
  await user.type(quota, '512')
  await user.click(within(dialog).getByRole('button', { name: '保存' }))
  await waitFor(() => expect(fleet.tables.accounts[0]?.limits).toEqual({ quota: 2 ** 29 }))
  const patch = requests.find((r) => r.method === 'PATCH')
  expect(patch?.headers.get('If-Match')).toBe(`"${version}"`)
  expect(patch?.body).toEqual({ name: '', plan: '', limits: { quota: 2 ** 29 }, features: {} })
})

test("all connections of an account are ended at once, and nobody else's", async () => {
  const user = userEvent.setup()
  const { api, requests } = show('/accounts/user1@example.test')
  const table = await screen.findByRole('table', { name: '当前连接' })
  expect(within(table).getAllByRole('row')).toHaveLength(3)
  expect(within(table).getByText('未加密')).toBeTruthy()
  await user.click(screen.getByRole('button', { name: '全部结束' }))
  await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: '结束' }))
  await waitFor(() => expect(api.access.sessions.map((s) => s.kind)).toEqual(['console', 'console', 'console']))
  expect(requests.filter((r) => r.method === 'DELETE')).toHaveLength(1)
})

test('aliases and forwarding are changed as a whole', async () => {
  const user = userEvent.setup()
  const { requests } = show('/accounts/user1@example.test')
  await user.click(await screen.findByRole('button', { name: '编辑: 别名与转发' }))
  const dialog = screen.getByRole('dialog')
  await user.type(within(dialog).getByLabelText(/^别名/), 'boss{enter}ceo@example.test')
  await user.type(within(dialog).getByLabelText(/转发到/), 'user2@example.test')
  await user.click(within(dialog).getByLabelText('邮箱里保留一份'))
  await user.click(within(dialog).getByRole('button', { name: '保存' }))
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  expect(requests.find((r) => r.method === 'PATCH')?.body).toEqual({
    aliases: ['boss@example.test', 'ceo@example.test'],
    forward: { to: ['user2@example.test'], keep: false },
    language: 'zh-CN',
  })
})
