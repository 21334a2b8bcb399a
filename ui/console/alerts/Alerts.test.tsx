import { act, screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'

test('an alert is taken with one tap and no question', async () => {
  const user = userEvent.setup()
  const { fleet, requests } = show('/alerts')
  await user.click(await screen.findByRole('button', { name: /我来处理/ }))
  await waitFor(() => expect(screen.getAllByText(/admin 已接手/)).toHaveLength(2))
  expect(screen.queryByRole('dialog')).toBeNull()
  expect(fleet.tables.alerts.every((a) => a.acked_by)).toBe(true)
  expect(requests.filter((r) => r.method === 'POST')).toHaveLength(1)
})

test('an alert that resolves leaves the firing ones', async () => {
  const { fleet } = show('/alerts')
  await screen.findByRole('button', { name: /我来处理/ })
  for (const alert of fleet.tables.alerts) {
    alert.state = 'resolved'
    alert.resolved = new Date().toISOString()
    act(() => fleet.changed('alerts', 'updated', alert))
  }
  const main = screen.getByRole('main')
  expect(await within(main).findByText('没有触发中的告警')).toBeTruthy()
})
