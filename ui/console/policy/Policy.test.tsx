import { screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'

test('the policy is changed as a whole', async () => {
  const user = userEvent.setup()
  const { api } = show('/policy')
  const length = await screen.findByLabelText(/密码最少字符数/)
  await user.clear(length)
  await user.type(length, '14')
  await user.type(screen.getByLabelText(/密码有效期/), '90')
  await user.click(screen.getByRole('switch', { name: '操作员' }))
  await user.click(screen.getByRole('button', { name: '保存' }))
  await waitFor(() =>
    expect(api.access.policy).toEqual({
      password_length: 14,
      password_age: '7776000s',
      token_life: '0s',
      totp_roles: ['operator'],
      approval_kinds: [],
    }),
  )
})

test('who may not change it only reads it', async () => {
  show('/policy', { role: 'auditor' })
  const length = await screen.findByLabelText(/密码最少字符数/)
  expect(length.closest('fieldset')?.disabled).toBe(true)
  expect(screen.queryByRole('button', { name: '保存' })).toBeNull()
})
