import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { code } from '../../fake/access'
import { show } from '../../fake/console'

test('a second factor is set up and taken away with a code', async () => {
  const user = userEvent.setup()
  const { api } = show('/security')
  await user.click(await screen.findByRole('button', { name: '启用两步验证' }))
  const dialog = screen.getByRole('dialog')
  await user.click(within(dialog).getByRole('button', { name: '启用两步验证' }))
  const drawn = await within(dialog).findByRole('img', { name: '两步验证二维码' })
  expect(drawn.querySelector('path')?.getAttribute('d')?.length).toBeGreaterThan(1000)
  expect(within(dialog).getByText('JBSW Y3DP EHPK 3PXP')).toBeTruthy()
  await user.type(within(dialog).getByLabelText('应用显示的验证码'), '000000{Enter}')
  await waitFor(() =>
    expect(within(dialog).getByLabelText('应用显示的验证码').getAttribute('aria-invalid')).toBe('true'),
  )
  expect(api.access.totp).toBe(false)
  await user.clear(within(dialog).getByLabelText('应用显示的验证码'))
  await user.type(within(dialog).getByLabelText('应用显示的验证码'), `${code}{Enter}`)
  await user.click(await within(dialog).findByRole('button', { name: '我已保存' }))
  expect(await screen.findByText('已启用')).toBeTruthy()

  await user.click(screen.getByRole('button', { name: '停用两步验证' }))
  await user.type(within(screen.getByRole('dialog')).getByLabelText(/验证码/), `${code}{Enter}`)
  expect(await screen.findByText('未启用')).toBeTruthy()
  expect(api.access.totp).toBe(false)
})

test('only the sessions of oneself are shown, and the others of them can be ended', async () => {
  const user = userEvent.setup()
  const { api, requests } = show('/security')
  const table = await screen.findByRole('table', { name: '我的登录会话' })
  expect(within(table).getAllByRole('row')).toHaveLength(3) // the head, this one and another
  expect(within(table).getByText('本会话')).toBeTruthy()
  await user.click(within(table).getByRole('button', { name: '结束: admin 192.0.2.8' }))
  await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: '结束' }))
  await waitFor(() => expect(api.access.sessions.some((s) => s.id === 's2')).toBe(false))
  expect(requests.some((r) => r.method === 'DELETE' && r.url.endsWith('/sessions/s2'))).toBe(true)
})
