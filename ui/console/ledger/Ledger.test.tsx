import { screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test, vi } from 'vitest'
import { show } from '../../fake/console'

vi.mock('uplot', () => ({
  default: class {
    setData() {}
    setSize() {}
    destroy() {}
  },
}))

test('what was sent and got is charted and listed, and taken along as CSV', async () => {
  const user = userEvent.setup()
  show('/ledger?domain=example.test', { role: 'domain-admin' })
  for (const name of ['邮件数', '邮件大小', '投递失败'])
    expect(await screen.findByText(name, { selector: 'figcaption' })).toBeTruthy()
  const table = await screen.findByRole('table', { name: '明细' })
  const total = within(table).getByText('合计').closest('tr') as HTMLElement
  expect(within(total).getByText('303')).toBeTruthy()
  expect(screen.getByRole('link', { name: /CSV/ }).getAttribute('href')).toMatch(/ledger\.csv\?domain=example\.test/)
  await user.click(screen.getByLabelText('按账户'))
  expect(await screen.findByRole('link', { name: 'user1@example.test' })).toBeTruthy()
})

test("an account's failures tell the last reply", async () => {
  show('/ledger?account=user1@example.test')
  const table = await screen.findByRole('table', { name: '投递失败记录' })
  expect(within(table).getByText(/No such user here/)).toBeTruthy()
  expect(within(table).getByText('550 5.1.1')).toBeTruthy()
})
