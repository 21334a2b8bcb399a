import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'
import { hold } from '../../fake/holds'

test('an alert of held mail names the account, tells why, and suspends it with one tap', async () => {
  const user = userEvent.setup()
  const { fleet, requests } = show('/alerts')
  const held = hold(fleet)
  expect(await screen.findByText('10 分内写给 412 个收件人，平时每小时 20 个。')).toBeTruthy()
  expect(screen.getByText(/暂扣 37 封（1.2 MiB）/)).toBeTruthy()
  expect(screen.getByRole('link', { name: held.address }).getAttribute('href')).toBe(`/accounts/${held.account}`)
  await user.click(screen.getByRole('button', { name: `停用: ${held.address}` }))
  expect(screen.queryByRole('dialog')).toBeNull()
  expect(await screen.findByRole('button', { name: `恢复: ${held.address}` })).toBeTruthy()
  const patch = requests.find((r) => r.method === 'PATCH')
  expect(patch?.body).toEqual({ state: 'suspended' })
  expect(patch?.headers.get('If-Match')).toBe(`"${held.version}"`)
  expect(screen.getByText(/暂扣 37 封/)).toBeTruthy()
})

test('held mail goes, or is deleted, only after it was asked, with its count', async () => {
  const user = userEvent.setup()
  const { fleet, requests } = show('/alerts')
  const held = hold(fleet)
  await user.click(await screen.findByRole('button', { name: `删除暂扣邮件: ${held.address}` }))
  const deleting = screen.getByRole('dialog')
  expect(within(deleting).getByText(/37 封邮件将永久删除/)).toBeTruthy()
  expect(requests.some((r) => r.method === 'DELETE')).toBe(false)
  await user.click(within(deleting).getByRole('button', { name: '删除暂扣邮件' }))
  expect(await screen.findByText(/已无暂扣的邮件/)).toBeTruthy()
  await user.click(screen.getByRole('button', { name: `放行: ${held.address}` }))
  await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: '放行' }))
  expect(await screen.findByText('已不再暂停。')).toBeTruthy()
  const changes = requests.filter((r) => r.method === 'DELETE').map((r) => r.url)
  expect(changes).toEqual([`/api/v1/accounts/${held.account}/held-mail`, `/api/v1/accounts/${held.account}/hold`])
})

test("an account's page shows that its mail is held, to whom may see it", async () => {
  const { fleet } = show('/accounts/user1@example.test', { role: 'helpdesk' })
  const held = hold(fleet)
  expect(await screen.findByRole('heading', { name: '发信已暂停' })).toBeTruthy()
  expect(screen.getByRole('button', { name: `放行: ${held.address}` })).toBeTruthy()
  expect(screen.queryByRole('button', { name: /删除暂扣邮件/ })).toBeNull()
})

test('an account that is not held says nothing of it', async () => {
  const { requests } = show('/accounts/user1@example.test')
  await waitFor(() => expect(requests.some((r) => r.url.startsWith('/api/v1/holds'))).toBe(true))
  expect(screen.queryByText('发信已暂停')).toBeNull()
})
