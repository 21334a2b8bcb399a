import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'

test('a token is shown this once', async () => {
  const user = userEvent.setup()
  const { requests } = show('/tokens')
  await user.click(await screen.findByRole('button', { name: '新建令牌' }))
  const dialog = screen.getByRole('dialog')
  await user.type(within(dialog).getByLabelText(/名称/), 'ci')
  await user.type(within(dialog).getByLabelText(/权限限制/), 'servers:read, rules:read')
  await user.selectOptions(within(dialog).getByLabelText('有效期'), '30 天')
  await user.click(within(dialog).getByRole('button', { name: '添加' }))
  expect(await screen.findByText('mft_shown-once')).toBeTruthy()
  expect(requests.find((r) => r.method === 'POST')?.body).toEqual({
    name: 'ci',
    role: 'viewer',
    scope: ['fleet'],
    scopes: ['servers:read', 'rules:read'],
    expires: '2592000s',
  })
  await user.click(screen.getByRole('button', { name: '完成' }))
  expect(screen.queryByText('mft_shown-once')).toBeNull()
  expect(await screen.findByText('ci')).toBeTruthy()
})

test('a token lives no longer than the policy lets it', async () => {
  const user = userEvent.setup()
  const { api, requests } = show('/tokens')
  api.access.policy.token_life = '240h0m0s'
  await user.click(await screen.findByRole('button', { name: '新建令牌' }))
  const lives = await waitFor(() => {
    const options = within(screen.getByLabelText('有效期')).getAllByRole('option')
    expect(options).toHaveLength(3)
    return options.map((o) => o.textContent)
  })
  expect(lives).toEqual(['1 天', '7 天', '10 天'])
  await user.type(screen.getByLabelText(/名称/), 'ci{Enter}')
  await screen.findByText('mft_shown-once')
  expect(requests.find((r) => r.method === 'POST')?.body).toMatchObject({ expires: '864000s' })
})

test('revoking asks first', async () => {
  const user = userEvent.setup()
  const { fleet } = show('/tokens')
  await user.click(await screen.findByRole('button', { name: '吊销: nightly' }))
  expect(fleet.tables.tokens).toHaveLength(1)
  await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: '吊销' }))
  expect(await screen.findByText('还没有令牌')).toBeTruthy()
})
