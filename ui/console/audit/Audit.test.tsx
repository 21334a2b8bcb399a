import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'

test('the log is searched, and the same is exported', async () => {
  const user = userEvent.setup()
  const { fleet, requests } = show('/audit')
  fleet.record('operator:admin', 'rule.create', 'rules', 'r1')
  await screen.findByRole('table', { name: '审计日志' })
  await user.type(screen.getByLabelText('动作'), 'server.join')
  await user.type(screen.getByLabelText('起始时间'), '2026-01-02T03:04')
  await user.click(screen.getByRole('button', { name: '查询' }))
  const from = new Date('2026-01-02T03:04').toISOString()
  await waitFor(() => {
    const asked = new URL(requests.findLast((r) => r.url.includes('/audit?'))?.url ?? '', 'http://fake').searchParams
    expect(asked.get('action')).toBe('server.join')
    expect(asked.get('from')).toBe(from)
  })
  const csv = new URL(screen.getByRole('link', { name: '导出 CSV' }).getAttribute('href') ?? '', 'http://fake')
  expect(csv.pathname).toBe('/api/v1/audit.csv')
  expect(Object.fromEntries(csv.searchParams)).toEqual({ action: 'server.join', from })
})

test('an entry shows what changed, and the chain is verified', async () => {
  const user = userEvent.setup()
  show('/audit')
  expect(await screen.findByText(/链完整/)).toBeTruthy()
  await user.click(await screen.findByText('查看'))
  const changed = within(screen.getByRole('table', { name: '审计日志' })).getAllByRole('table')[0]
  expect(changed?.querySelector('ins')?.textContent).toBe('mail-hk-1')
})

test('whether the chain is whole is not asked for by those whose log is a part of it', async () => {
  const { requests } = show('/audit', { role: 'domain-admin' })
  await screen.findByRole('table', { name: '审计日志' })
  expect(requests.some((r) => r.url.includes('verify'))).toBe(false)
})
