import { screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test, vi } from 'vitest'
import { show } from '../../fake/console'
import { password } from '../../fake/routes'

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
