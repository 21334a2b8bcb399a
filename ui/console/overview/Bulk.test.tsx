import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'

test('servers that are chosen are acted on together, confirmed by their number', async () => {
  const user = userEvent.setup()
  const { fleet, requests } = show('/')
  await user.click(await screen.findByRole('checkbox', { name: '选择 mail-bj-2' }))
  await user.click(screen.getByRole('checkbox', { name: '选择 mail-sh-3' }))
  const bar = screen.getByRole('region', { name: '对所选的操作' })
  expect(within(bar).getByText('已选 2 台服务器')).toBeTruthy()
  await user.click(within(bar).getByRole('button', { name: '关机' }))
  const dialog = await screen.findByRole('dialog', { name: '关闭服务器（2 个目标）' })
  await user.type(await within(dialog).findByLabelText(/输入 2 以确认/), '2')
  await user.click(within(dialog).getByRole('button', { name: '关机' }))
  await screen.findByRole('heading', { level: 1, name: '关闭服务器（2 个目标）' })
  await waitFor(() => expect(fleet.tables.servers.map((s) => s.state)).toEqual(['up', 'down', 'down']))
  const post = requests.find((r) => r.method === 'POST' && r.url === '/api/v1/operations')
  expect(post?.body).toMatchObject({ kind: 'server.shutdown', confirm: '2', rolling: { batch: 1 } })
})

test('all that is shown is chosen and dropped with one box', async () => {
  const user = userEvent.setup()
  show('/', { servers: 8 })
  const all = await screen.findByRole('checkbox', { name: '选择显示的全部服务器' })
  await user.click(all)
  expect(screen.getByText('已选 8 台服务器')).toBeTruthy()
  await user.click(screen.getByRole('checkbox', { name: '选择 mail-bj-2' }))
  expect((all as HTMLInputElement).indeterminate).toBe(true)
  await user.click(all)
  await user.click(all)
  expect(screen.queryByRole('region', { name: '对所选的操作' })).toBeNull()
})

test('what a selector covers is acted on after its impact was shown', async () => {
  const user = userEvent.setup()
  const { requests } = show('/services')
  await user.click(await screen.findByRole('button', { name: '按选择器…' }))
  const first = screen.getByRole('dialog', { name: '对选择器覆盖的目标操作' })
  await user.selectOptions(within(first).getByLabelText('动作'), 'service.drain')
  await user.type(within(first).getByLabelText(/选择器/), 'region=hk,service=mailnode')
  await user.click(within(first).getByRole('button', { name: '查看影响' }))
  const dialog = await screen.findByRole('dialog', { name: '停止接新任务（region=hk,service=mailnode）' })
  expect(await within(dialog).findByText('mail-hk-1 mailnode')).toBeTruthy()
  await user.click(within(dialog).getByRole('button', { name: '停接新任务' }))
  await screen.findByRole('heading', { level: 1, name: '让 mail-hk-1 上的 mailnode 停接新任务' })
  const post = requests.find((r) => r.method === 'POST' && r.url === '/api/v1/operations')
  expect(post?.body).toMatchObject({ kind: 'service.drain', selector: 'region=hk,service=mailnode' })
})

test('who may only look cannot choose anything', async () => {
  show('/', { role: 'viewer' })
  await screen.findByRole('table', { name: '服务器列表' })
  await screen.findByText('mail-bj-2', { selector: 'a.row-link' })
  expect(screen.queryByRole('checkbox')).toBeNull()
  expect(screen.queryByRole('button', { name: '按选择器…' })).toBeNull()
})
