import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'

test('how mail is handled is changed, and what is left empty is left to the server', async () => {
  const user = userEvent.setup()
  const { requests } = show('/domains/example.test')
  await user.click(await screen.findByRole('button', { name: '编辑: 收发设置' }))
  const dialog = screen.getByRole('dialog')
  await user.type(within(dialog).getByLabelText('无主邮件归'), 'user1@example.test')
  await user.selectOptions(within(dialog).getByLabelText('DMARC 不通过的来信'), 'quarantine')
  await user.click(within(dialog).getByText('中继（外发）'))
  await user.type(within(dialog).getByLabelText('主机'), 'relay.example.test')
  await user.type(within(dialog).getByLabelText('密码'), 'secret of the relay')
  await user.click(within(dialog).getByRole('button', { name: '保存' }))
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  expect(requests.find((r) => r.method === 'PUT')?.body).toEqual({
    catch_all: 'user1@example.test',
    dmarc: 'quarantine',
    route: { host: 'relay.example.test' },
    route_password: 'secret of the relay',
  })
  expect(await screen.findByText('放入垃圾邮件')).toBeTruthy()
})

test('each record says what the DNS has of it, and is taken along by a button', async () => {
  const user = userEvent.setup()
  show('/domains/example.test')
  const table = await screen.findByRole('table', { name: '要发布的 DNS 记录' })
  const spf = (await within(table).findByText('SPF')).closest('tr') as HTMLElement
  expect(await within(spf).findByText('不一致')).toBeTruthy()
  expect(within(spf).getByText('v=spf1 -all')).toBeTruthy()
  expect(within(table).getAllByText('正确').length).toBe(2)
  await user.click(within(spf).getByRole('button', { name: '复制: 内容 example.test' }))
  expect(await navigator.clipboard.readText()).toBe('v=spf1 ip4:192.0.2.10 -all')
})

test('a key is made before the one that signs is replaced', async () => {
  const user = userEvent.setup()
  const { fleet, requests } = show('/domains/example.test')
  await user.click(await screen.findByRole('button', { name: '轮换密钥' }))
  await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: '生成密钥' }))
  await waitFor(() => expect(fleet.tables['dkim-keys']).toHaveLength(3))
  await user.click(screen.getByRole('button', { name: '启用: e2601' }))
  await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: '启用' }))
  await waitFor(() => expect(requests.find((r) => r.method === 'PATCH')?.body).toEqual({ state: 'active' }))
})

test('an alias is made of a name and one member', async () => {
  const user = userEvent.setup()
  const { requests } = show('/domains/example.test')
  expect(await screen.findByText('→ user1@example.test')).toBeTruthy()
  await user.click(screen.getByRole('button', { name: '新建别名或群组' }))
  const dialog = screen.getByRole('dialog')
  await user.type(within(dialog).getByLabelText(/地址/), 'info')
  await user.type(within(dialog).getByLabelText(/成员/), 'user2@example.test')
  await user.click(within(dialog).getByRole('button', { name: '添加' }))
  await waitFor(() =>
    expect(requests.find((r) => r.method === 'POST')?.body).toMatchObject({
      address: 'info@example.test',
      members: ['user2@example.test'],
    }),
  )
})

test('the secret of a hook is shown this once', async () => {
  const user = userEvent.setup()
  show('/domains/example.test')
  await user.click(await screen.findByRole('button', { name: '添加通知' }))
  await user.type(within(screen.getByRole('dialog')).getByLabelText(/网址/), 'https://hooks.example.test/')
  await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: '添加' }))
  expect(await screen.findByText('SHOWNONCESHOWNONCE')).toBeTruthy()
  await user.click(screen.getByRole('button', { name: '完成' }))
  expect(await screen.findByText('https://hooks.example.test/')).toBeTruthy()
})

test('a viewer sees the page and no buttons that change', async () => {
  show('/domains/example.test', { role: 'viewer' })
  await screen.findByRole('table', { name: '别名与群组' })
  for (const name of [/编辑/, /新建别名/, /轮换/, /添加通知/, /删除/])
    expect(screen.queryByRole('button', { name })).toBeNull()
})
