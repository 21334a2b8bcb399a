import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test, vi } from 'vitest'
import { show } from '../../fake/console'

// happy-dom has no canvas; what a plot is given is what can be tested here.
const plots = vi.hoisted(() => [] as { series: number; data: unknown[][] }[])
vi.mock('uplot', () => ({
  default: class {
    constructor(options: { series: unknown[] }, data: unknown[][]) {
      plots.push({ series: options.series.length, data })
    }
    setData() {}
    setSize() {}
    destroy() {}
  },
}))

test('shows every group of samples, with a gap where there are none', async () => {
  show('/servers/mail-hk-1')
  for (const title of ['CPU', '负载', '内存', '交换区', '网络流量', '磁盘已用', 'inode 已用'])
    expect(await screen.findByText(title, { selector: 'figcaption' })).toBeTruthy()
  const load = plots.find((p) => p.series === 4)
  expect(load?.data[1]?.filter((v) => v === null)).toHaveLength(1)
  expect(load?.data[0]?.length).toBeGreaterThan(200)
})

test('a stop says what it does, asks, and the state arrives by itself', async () => {
  const user = userEvent.setup()
  const { requests } = show('/servers/mail-hk-1')
  const table = await screen.findByRole('table', { name: '服务' })
  expect(within(table).getByText('运行中')).toBeTruthy()
  await user.click(within(table).getByRole('button', { name: '停止' }))
  const dialog = screen.getByRole('dialog', { name: '停止 mail-hk-1 上的 mailnode' })
  expect(within(dialog).getByText(/保持停止直到有人启动它/)).toBeTruthy()
  await user.type(within(dialog).getByLabelText(/原因/), '维护')
  await user.click(within(dialog).getByRole('button', { name: '停止' }))
  await waitFor(() => expect(within(table).getByText('已停止')).toBeTruthy())
  const post = requests.find((r) => r.method === 'POST')
  expect(post?.headers.get('Idempotency-Key')).toMatch(/^[0-9a-f-]{36}$/)
  expect(post?.body).toMatchObject({ kind: 'service.stop', reason: '维护' })

  await user.click(within(table).getByRole('button', { name: '启动' }))
  expect(screen.queryByRole('dialog')).toBeNull()
  await waitFor(() => expect(within(table).getByText('运行中')).toBeTruthy())
  expect(await screen.findByText('启动 mail-hk-1 上的 mailnode', { selector: 'a' })).toBeTruthy()
})

test('a clock that is off is shown', async () => {
  show('/servers/mail-bj-2')
  expect(await screen.findByText(/时钟快了 2 小时 1 分/)).toBeTruthy()
})

test('a server that does not exist is said not to', async () => {
  show('/servers/nobody')
  expect(await screen.findByText('没有名为“nobody”的服务器')).toBeTruthy()
})

test('the log opens beside the screen and closes with Esc', async () => {
  const user = userEvent.setup()
  show('/servers/mail-hk-1')
  await user.click(await screen.findByRole('button', { name: '日志' }))
  const dialog = screen.getByRole('dialog')
  expect(await within(dialog).findByText(/smtp session/)).toBeTruthy()
  dialog.dispatchEvent(new Event('cancel', { cancelable: true }))
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
})

test('an address that names no screen says so', async () => {
  show('/nowhere')
  expect(await screen.findByRole('heading', { level: 1, name: '页面不存在' })).toBeTruthy()
})

test('who may only look is offered nothing to change', async () => {
  show('/servers/mail-hk-1', { role: 'viewer' })
  const table = await screen.findByRole('table', { name: '服务' })
  await within(table).findByRole('button', { name: '日志' })
  expect(within(table).getAllByRole('button')).toHaveLength(1)
  await screen.findAllByText('内存不足', { exact: false })
  expect(screen.queryByRole('button', { name: /我来处理/ })).toBeNull()
})
