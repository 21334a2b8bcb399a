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
  expect(screen.getAllByRole('link', { name: /CSV/ })[0]?.getAttribute('href')).toMatch(
    /ledger\.csv\?domain=example\.test/,
  )
  await user.click(screen.getByLabelText('按账户'))
  expect(
    await within(await screen.findByRole('table', { name: '明细' })).findByRole('link', { name: 'user1@example.test' }),
  ).toBeTruthy()
})

test.each(['account=user1@example.test', 'domain=example.test'])('failures of %s tell the last reply', async (of) => {
  const { requests } = show(`/ledger?${of}`)
  const table = await screen.findByRole('table', { name: '投递失败记录' })
  expect(within(table).getByText(/No such user here/)).toBeTruthy()
  expect(within(table).getByText('550 5.1.1')).toBeTruthy()
  expect(requests.some((r) => decodeURIComponent(r.url).includes(`/ledger/failures?${of}`))).toBe(true)
  const csv = screen.getAllByRole('link', { name: /CSV/ }).map((link) => link.getAttribute('href'))
  expect(csv.some((href) => decodeURIComponent(href ?? '').includes(`/ledger/failures.csv?${of}`))).toBe(true)
})
