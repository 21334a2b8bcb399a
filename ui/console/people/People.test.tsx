import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'

test('a domain administrator is added; the password is shown this once', async () => {
  const user = userEvent.setup()
  const { requests } = show('/people')
  await user.click(await screen.findByRole('button', { name: '添加人员' }))
  const dialog = screen.getByRole('dialog')
  await user.type(within(dialog).getByLabelText(/用户名/), 'wang')
  await user.selectOptions(within(dialog).getByLabelText('角色'), 'domain-admin')
  await user.type(within(dialog).getByRole('combobox', { name: '域名' }), 'example.test')
  await user.click(within(dialog).getByRole('button', { name: '再加一个' }))
  const [, second] = within(dialog).getAllByRole('combobox', { name: '域名' })
  if (!second) throw new Error('there is no second part')
  await user.type(second, 'other.test')
  await user.click(within(dialog).getByRole('button', { name: '添加' }))
  expect(await screen.findByText('abcde-fghij-klmno-pqrst')).toBeTruthy()
  expect(requests.find((r) => r.method === 'POST')?.body).toEqual({
    name: 'wang',
    role: 'domain-admin',
    scope: ['domain:example.test', 'domain:other.test'],
  })
  await user.click(screen.getByRole('button', { name: '完成' }))
  expect(screen.queryByText('abcde-fghij-klmno-pqrst')).toBeNull()
  expect(await screen.findByRole('link', { name: 'wang' })).toBeTruthy()
})

test('only roles that one may give are offered, where they can hold', async () => {
  const user = userEvent.setup()
  show('/people', { role: 'domain-admin' })
  await user.click(await screen.findByRole('button', { name: '添加人员' }))
  const roles = within(screen.getByLabelText('角色')).getAllByRole('option')
  expect(roles.map((o) => o.textContent)).toEqual(['域名管理员', '客服', '用户'])
  const places = within(screen.getByLabelText('范围类型')).getAllByRole('option')
  expect(places.map((o) => o.textContent)).toEqual(['域名'])
})

test('a password is reset to one that is shown this once', async () => {
  const user = userEvent.setup()
  const { fleet, requests } = show(`/people`)
  await user.click(await screen.findByRole('link', { name: 'li' }))
  await screen.findByRole('heading', { level: 1, name: 'li' })
  const version = fleet.tables.people[1]?.version
  await user.click(screen.getByRole('button', { name: '重设密码' }))
  await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: '重设密码' }))
  const shown = await within(screen.getByRole('dialog')).findByText(/^[a-z2-7]{5}(-[a-z2-7]{5}){3}$/)
  const patch = requests.find((r) => r.method === 'PATCH')
  expect(patch?.body).toEqual({ password: shown.textContent })
  expect(patch?.headers.get('If-Match')).toBe(`"${version}"`)
})

test('disabling and taking the second factor away ask first', async () => {
  const user = userEvent.setup()
  const { fleet } = show('/people')
  await user.click(await screen.findByRole('link', { name: 'admin' }))
  await user.click(await screen.findByRole('button', { name: '停用两步验证' }))
  expect(fleet.tables.people[0]?.totp).toBe(true)
  await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: '停用两步验证' }))
  await waitFor(() => expect(fleet.tables.people[0]?.totp).toBe(false))
  await user.click(screen.getByRole('button', { name: '停用' }))
  await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: '停用' }))
  expect(await screen.findByText('已停用')).toBeTruthy()
  await user.click(screen.getByRole('button', { name: '启用' })) // can be undone: asks nothing
  await waitFor(() => expect(fleet.tables.people[0]?.disabled).toBe(false))
})

test("a person's sessions are shown and ended all at once", async () => {
  const user = userEvent.setup()
  const { api } = show('/people')
  await user.click(await screen.findByRole('link', { name: 'li' }))
  const table = await screen.findByRole('table', { name: '在线会话' })
  expect(within(table).getAllByRole('row')).toHaveLength(2)
  await user.click(within(table).getByRole('button', { name: /结束/ }))
  await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: '结束' }))
  await waitFor(() => expect(api.access.sessions.some((s) => s.who === 'li')).toBe(false))
})
