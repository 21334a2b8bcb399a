import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'

test('a domain is given to a tenant, on a plan', async () => {
  const user = userEvent.setup()
  const { fleet } = show('/domains')
  await user.click(await screen.findByRole('button', { name: '编辑: example.test' }))
  const dialog = screen.getByRole('dialog')
  await user.selectOptions(
    within(dialog).getByLabelText('租户'),
    await within(dialog).findByRole('option', { name: '示例科技' }),
  )
  await user.selectOptions(
    within(dialog).getByLabelText('套餐'),
    await within(dialog).findByRole('option', { name: '标准版' }),
  )
  await user.type(within(dialog).getByLabelText('最多账户'), '20')
  await user.click(within(dialog).getByRole('button', { name: '保存' }))
  await waitFor(() =>
    expect(fleet.tables.domains[0]).toMatchObject({
      tenant: fleet.tables.tenants[1]?.id,
      plan: fleet.tables.plans[0]?.id,
      max_accounts: 20,
      postmaster: 'user1@example.test',
    }),
  )
})

test('its administrator names the postmaster and nothing else', async () => {
  const user = userEvent.setup()
  const { requests } = show('/domains', { role: 'domain-admin' })
  await user.click(await screen.findByRole('button', { name: '编辑: example.test' }))
  const dialog = screen.getByRole('dialog')
  expect(within(dialog).queryByLabelText('租户')).toBeNull()
  expect(screen.queryByRole('button', { name: '删除: example.test' })).toBeNull()
  const postmaster = within(dialog).getByLabelText(/邮件管理员/)
  await user.clear(postmaster)
  await user.type(postmaster, 'user2@example.test')
  await user.click(within(dialog).getByRole('button', { name: '保存' }))
  await waitFor(() =>
    expect(requests.find((r) => r.method === 'PUT')?.body).toEqual({
      name: 'example.test',
      postmaster: 'user2@example.test',
    }),
  )
})
