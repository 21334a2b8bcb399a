import { screen, waitFor, within } from '@testing-library/react'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'

const links = () =>
  within(screen.getByRole('navigation'))
    .getAllByRole('link')
    .map((a) => a.textContent)
    .filter((text) => text !== 'Mailfleet')

test('a domain administrator is offered what is theirs, and lands there', async () => {
  const { router, requests } = show('/', { role: 'domain-admin' })
  expect(await screen.findByRole('heading', { level: 1, name: '域名' })).toBeTruthy()
  expect(router.state.location.pathname).toBe('/domains')
  expect(links()).toEqual([
    '域名',
    '账户',
    '邮件队列',
    '收发统计',
    '套餐',
    '人员与角色',
    'API 令牌',
    '在线会话',
    '审计日志',
  ])
  const asked = requests.map((r) => r.url.replace('/api/v1', ''))
  expect(asked.filter((url) => /^\/(status|servers|samples|tenants)/.test(url)).join()).toBe('')
})

test.each(['/servers/mail-hk-1', '/operations', '/rules', '/tenants', '/contacts'])(
  '%s is not shown to a domain administrator',
  async (path) => {
    const { requests } = show(path, { role: 'domain-admin' })
    expect(await screen.findByRole('heading', { level: 1, name: '没有权限' })).toBeTruthy()
    expect(requests.filter((r) => r.url.includes(path.split('/')[1] ?? ''))).toEqual([])
  },
)

test('the acts on an account are those the role may do', async () => {
  const { view } = show('/accounts', { role: 'helpdesk' })
  expect(await screen.findByRole('button', { name: '停用: user1@example.test' })).toBeTruthy()
  expect(screen.queryByRole('button', { name: '删除: user1@example.test' })).toBeNull()
  expect(screen.queryByRole('button', { name: '添加账户' })).toBeNull()
  expect(screen.queryByRole('columnheader', { name: '所在服务器' })).toBeNull()
  view.unmount()
  show('/accounts', { role: 'user' })
  await screen.findByRole('link', { name: 'user1@example.test' })
  await waitFor(() => expect(screen.queryByRole('button', { name: /停用/ })).toBeNull())
})

test('an operator is offered everything', async () => {
  show('/policy')
  await screen.findByRole('heading', { level: 1, name: '安全策略' })
  for (const name of ['总览', '租户', '人员与角色', '安全策略', '审计日志']) expect(links()).toContain(name)
})
