import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'

test('a window is opened for some servers, and ended before its time', async () => {
  const user = userEvent.setup()
  const { fleet, requests } = show('/windows')
  await screen.findByText('没有维护窗口')
  await user.click(screen.getByRole('button', { name: '新建维护窗口' }))
  const dialog = screen.getByRole('dialog', { name: '新建维护窗口' })
  await user.type(within(dialog).getByLabelText(/原因/), '换磁盘')
  await user.type(within(dialog).getByLabelText(/服务器/), 'mail-hk-1, mail-bj-2')
  await user.selectOptions(within(dialog).getByLabelText(/时长/), '7200')
  await user.click(within(dialog).getByRole('button', { name: '打开' }))
  const row = await screen.findByRole('row', { name: /换磁盘/ })
  expect(within(row).getByText('进行中')).toBeTruthy()
  expect(within(row).getByText('mail-hk-1, mail-bj-2')).toBeTruthy()
  const sent = requests.find((r) => r.method === 'POST')?.body as { servers: string[]; from?: string; to: string }
  expect(sent.servers).toEqual(['mail-hk-1', 'mail-bj-2'])
  expect(sent.from).toBeUndefined()
  expect(Math.abs(Date.parse(sent.to) - Date.now() - 7_200_000)).toBeLessThan(60_000)

  await user.click(within(row).getByRole('button', { name: '结束: 换磁盘' }))
  await waitFor(() => expect(fleet.tables.windows[0]?.closed).not.toMatch(/^0001/))
  expect(requests.at(-1)?.url).not.toMatch(/undefined/)
})

test('who may only look is offered nothing', async () => {
  show('/windows', { role: 'viewer' })
  await screen.findByText('没有维护窗口')
  expect(screen.queryByRole('button', { name: '新建维护窗口' })).toBeNull()
})
