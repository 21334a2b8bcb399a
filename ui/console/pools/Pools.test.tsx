import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'

test('a pool is filled evenly over the regions, and a member taken out of work and out of the pool', async () => {
  const user = userEvent.setup()
  const { fleet, requests } = show('/pools/webmail', { servers: 8 })
  const table = await screen.findByRole('table', { name: '成员' })
  expect(within(table).getAllByRole('row')).toHaveLength(3)
  await user.click(screen.getByRole('button', { name: '加入服务器' }))
  const dialog = screen.getByRole('dialog', { name: '把服务器加入 webmail' })
  const submit = within(dialog).getByRole('button', { name: '加入 0 台' })
  expect(submit.hasAttribute('disabled')).toBe(true)
  await user.click(within(dialog).getByRole('button', { name: '按区域选择' }))
  await user.click(within(dialog).getByRole('button', { name: '加入 2 台' }))
  await waitFor(() => expect(within(table).getAllByRole('row')).toHaveLength(5))
  const regions = fleet.tables.pools[0]?.members.map((m) => fleet.tables.servers.find((s) => s.id === m.server)?.region)
  expect(regions?.toSorted()).toEqual(['bj', 'hk', 'sg', 'sh'])

  await user.click(within(table).getByRole('button', { name: '权重设为 0: mail-hk-1' }))
  expect(await within(table).findByText('0（不接新任务）')).toBeTruthy()
  expect(screen.getByText('3/4 在服务')).toBeTruthy()
  await user.click(within(table).getByRole('button', { name: '移出: mail-hk-1' }))
  await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: '移出' }))
  await waitFor(() => expect(within(table).getAllByRole('row')).toHaveLength(4))
  expect(requests.find((r) => r.method === 'DELETE')?.headers.get('If-Match')).toMatch(/^"\d+"$/)
})

test('a pool that does not exist is said not to', async () => {
  show('/pools/nobody')
  expect(await screen.findByText('没有名为“nobody”的服务池')).toBeTruthy()
})
