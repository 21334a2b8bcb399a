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
  const dialog = await screen.findByRole('dialog', { name: '停止 mail-hk-1 上的 mailnode' })
  expect(within(dialog).getByText(/保持停止直到有人启动它/)).toBeTruthy()
  await user.type(within(dialog).getByLabelText(/原因/), '维护')
  await user.click(within(dialog).getByRole('button', { name: '停止' }))
  await waitFor(() => expect(within(table).getByText('已停止')).toBeTruthy())
  const post = requests.find((r) => r.method === 'POST' && r.url === '/api/v1/operations')
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

test('what a service wrote before it crashed is kept', async () => {
  const user = userEvent.setup()
  const { fleet } = show('/servers/mail-hk-1')
  const service = fleet.tables.servers[0]?.services[0]
  if (!service) throw new Error('no service')
  service.state = 'crashed'
  await user.click(await screen.findByRole('button', { name: '更多操作: mailnode' }))
  await user.click(screen.getByRole('menuitem', { name: '崩溃记录' }))
  const dialog = await screen.findByRole('dialog', { name: 'mail-hk-1 上 mailnode 上次崩溃' })
  expect(await within(dialog).findByText('退出状态 1')).toBeTruthy()
  expect(within(dialog).getByText(/cannot open its file/)).toBeTruthy()
})

test('a command is added as a service, and what the API complains of stands beside its field', async () => {
  const user = userEvent.setup()
  const { requests } = show('/servers/mail-hk-1')
  await user.click(await screen.findByRole('button', { name: '添加服务' }))
  const dialog = await screen.findByRole('dialog', { name: '添加服务' })
  await user.type(within(dialog).getByLabelText(/名称/), 'mailnode')
  await user.type(within(dialog).getByRole('textbox', { name: /命令/ }), '/usr/bin/rspamd{Enter}-f')
  await user.type(within(dialog).getByLabelText(/环境变量/), 'A=b=c')
  await user.click(within(dialog).getByRole('button', { name: '添加' }))
  await waitFor(() => expect(within(dialog).getByLabelText(/名称/).getAttribute('aria-invalid')).toBe('true'))
  await user.clear(within(dialog).getByLabelText(/名称/))
  await user.type(within(dialog).getByLabelText(/名称/), 'rspamd')
  await user.click(within(dialog).getByRole('button', { name: '添加' }))
  const table = screen.getByRole('table', { name: '服务' })
  expect(await within(table).findByText('rspamd')).toBeTruthy()
  const sent = requests.filter((r) => r.url === '/api/v1/services').at(-1)
  expect(sent?.body).toMatchObject({ kind: 'command', command: ['/usr/bin/rspamd', '-f'], env: { A: 'b=c' } })
})

test('the checks that failed come first with what to do, and only what the agent can mend is offered', async () => {
  const user = userEvent.setup()
  const { requests } = show('/servers/mail-hk-1')
  const table = await screen.findByRole('table', { name: '服务器体检' })
  const [, first, second] = within(table).getAllByRole('row')
  expect(first?.textContent).toMatch(/打开文件数上限.*不合格.*提高打开文件数上限/)
  expect(second?.textContent).toMatch(/DNS 反向解析.*警告/)
  expect(within(table).getAllByRole('checkbox')).toHaveLength(1)
  await user.click(within(table).getByRole('checkbox', { name: '选择 打开文件数上限' }))
  await user.click(screen.getByRole('button', { name: '修复所选（1）' }))
  const dialog = await screen.findByRole('dialog', { name: '在 mail-hk-1 上应用修复' })
  await waitFor(() =>
    expect(within(dialog).getByRole('button', { name: '应用修复' }).hasAttribute('disabled')).toBe(false),
  )
  await user.click(within(dialog).getByRole('button', { name: '应用修复' }))
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  const post = requests.find((r) => r.method === 'POST' && r.url === '/api/v1/operations')
  expect(post?.body).toMatchObject({ kind: 'server.tune', params: { fixes: ['open_files'] } })
})

test('a power driver keeps its password when none is typed, and is tested', async () => {
  const user = userEvent.setup()
  const { requests } = show('/servers/mail-hk-1')
  await user.click(await screen.findByRole('button', { name: '编辑: 电源' }))
  const dialog = await screen.findByRole('dialog', { name: '设置电源驱动' })
  expect(within(dialog).getByText(/留空则保留/)).toBeTruthy()
  await user.clear(within(dialog).getByLabelText(/地址/))
  await user.type(within(dialog).getByLabelText(/地址/), '192.0.2.10')
  await user.click(within(dialog).getByRole('button', { name: '保存' }))
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  const put = requests.find((r) => r.method === 'PUT')
  expect(put?.body).toEqual({ kind: 'ipmi', address: '192.0.2.10', user: 'admin' })
  await user.click(await screen.findByRole('button', { name: '测试' }))
  expect(await screen.findByText('已通电')).toBeTruthy()
})

test('an address that names no screen says so', async () => {
  show('/nowhere')
  expect(await screen.findByRole('heading', { level: 1, name: '页面不存在' })).toBeTruthy()
})

test('who may only look is offered nothing to change', async () => {
  show('/servers/mail-hk-1', { role: 'viewer' })
  const table = await screen.findByRole('table', { name: '服务' })
  await within(table).findByRole('button', { name: '日志' })
  await userEvent.click(within(table).getByRole('button', { name: '更多操作: mailnode' }))
  expect(screen.getAllByRole('menuitem').map((i) => i.textContent)).toEqual(['崩溃记录'])
  for (const name of ['停止', '重启', '更多操作', '添加服务', '立即检查', '测试'])
    expect(screen.queryByRole('button', { name })).toBeNull()
  await screen.findAllByText('内存不足', { exact: false })
  expect(screen.queryByRole('button', { name: /我来处理/ })).toBeNull()
})
