import { screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test, vi } from 'vitest'
import { code, password } from '../../fake/access'
import { show } from '../../fake/console'

test('a stranger signs in and lands where they wanted to go', async () => {
  const user = userEvent.setup()
  const { router } = show('/contacts', { signedIn: false })
  await user.type(await screen.findByLabelText('用户名'), 'admin')
  await user.type(screen.getByLabelText('密码'), 'wrong')
  await user.click(screen.getByRole('button', { name: '登录' }))
  expect((await screen.findByRole('alert')).textContent).toContain('用户名或密码不正确')
  await user.clear(screen.getByLabelText('密码'))
  await user.type(screen.getByLabelText('密码'), password)
  await user.click(screen.getByRole('button', { name: '登录' }))
  expect(await screen.findByRole('heading', { level: 1, name: '联系人' })).toBeTruthy()
  expect(router.state.location.pathname).toBe('/contacts')
})

test('a session that ends shows the sign-in again', async () => {
  const { api, fleet } = show('/contacts')
  await screen.findByRole('heading', { level: 1, name: '联系人' })
  api.signedIn = false
  fleet.text('+1', 'x') // any change makes some screen ask again
  fleet.changed('contacts', 'created', fleet.meta())
  await waitFor(() => expect(screen.getByLabelText('用户名')).toBeTruthy())
})

test('signing out ends the session', async () => {
  const user = userEvent.setup()
  const { api } = show('/contacts')
  const assign = vi.spyOn(location, 'assign').mockImplementation(() => {})
  await user.click(await screen.findByRole('button', { name: '退出登录' }))
  await waitFor(() => expect(assign).toHaveBeenCalledWith('/'))
  expect(api.signedIn).toBe(false)
})

/** Fills in who signs in, and sends it. */
async function signIn(user: ReturnType<typeof userEvent.setup>, name: string, secret: string) {
  await user.type(await screen.findByLabelText('用户名'), name)
  await user.type(screen.getByLabelText('密码'), secret)
  await user.click(screen.getByRole('button', { name: '登录' }))
}

test('the code of a second factor is asked for when it is needed', async () => {
  const user = userEvent.setup()
  const { api, requests } = show('/contacts', { signedIn: false })
  api.access.totp = true
  await signIn(user, 'admin', password)
  const field = await screen.findByLabelText('验证码')
  expect(document.activeElement).toBe(field)
  expect(requests.at(-1)?.body).toEqual({ user: 'admin', password })
  await user.type(field, '000000{Enter}')
  expect((await screen.findByRole('alert')).textContent).toContain('验证码不正确')
  await user.type(screen.getByLabelText('验证码'), `${code}{Enter}`)
  expect(await screen.findByRole('heading', { level: 1, name: '联系人' })).toBeTruthy()
})

test('a locked name is told for how long', async () => {
  const user = userEvent.setup()
  show('/', { signedIn: false })
  await signIn(user, 'locked', password)
  expect((await screen.findByRole('alert')).textContent).toContain('请在 2 分后重试')
})

test('the OpenID provider is offered where there is one', async () => {
  const { api, view } = show('/', { signedIn: false })
  await screen.findByLabelText('用户名')
  expect(screen.queryByRole('link', { name: /使用/ })).toBeNull()
  view.unmount()
  const other = show('/', { signedIn: false })
  other.api.access.provider = 'Keycloak'
  expect(api.access.provider).toBeUndefined()
  const link = await screen.findByRole('link', { name: '使用 Keycloak 登录' })
  expect(link.getAttribute('href')).toBe('/api/v1/oidc/start')
})

test('what the OpenID provider refused is told', async () => {
  const { view } = show('/?refused=unavailable', { signedIn: false })
  expect((await screen.findByRole('alert')).textContent).toContain('请使用密码登录')
  view.unmount()
  show('/?refused=%3Cb%3E', { signedIn: false })
  expect((await screen.findByRole('alert')).textContent).toContain('请重试')
})

test('a session that ended says so', async () => {
  const { api, fleet } = show('/contacts')
  await screen.findByRole('heading', { level: 1, name: '联系人' })
  api.signedIn = false
  fleet.changed('contacts', 'created', fleet.meta())
  expect(await screen.findByText('会话已结束，请重新登录。')).toBeTruthy()
})

test('a temporary password is changed before anything else', async () => {
  const user = userEvent.setup()
  const { api, requests } = show('/contacts')
  api.access.must = 'password'
  api.access.policy.password_length = 15
  expect(await screen.findByRole('heading', { name: '请先设置新密码' })).toBeTruthy()
  expect(await screen.findByText(/至少 15 个字符/)).toBeTruthy()
  expect(requests.some((r) => r.url.includes('contacts'))).toBe(false)
  await user.type(screen.getByLabelText('当前密码'), 'wrong')
  await user.type(screen.getByLabelText('新密码'), 'a long enough one')
  await user.click(screen.getByRole('button', { name: '修改' }))
  await screen.findByText('当前密码不对', { selector: '.mantine-PasswordInput-error' })
  await user.clear(screen.getByLabelText('当前密码'))
  await user.type(screen.getByLabelText('当前密码'), password)
  await user.click(screen.getByRole('button', { name: '修改' }))
  expect(await screen.findByRole('heading', { level: 1, name: '联系人' })).toBeTruthy()
})

test('a second factor that the role must have is set up before anything else', async () => {
  const user = userEvent.setup()
  const { api } = show('/contacts')
  api.access.must = 'totp'
  await user.click(await screen.findByRole('button', { name: '启用两步验证' }))
  expect(await screen.findByRole('img', { name: '两步验证二维码' })).toBeTruthy()
  await user.type(screen.getByLabelText('应用显示的验证码'), `${code}{Enter}`)
  expect(await screen.findByText(/aaaa-bbbb-cccc-dddd/)).toBeTruthy() // stays until they are kept
  await user.click(screen.getByRole('button', { name: '我已保存' }))
  expect(await screen.findByRole('heading', { level: 1, name: '联系人' })).toBeTruthy()
})
