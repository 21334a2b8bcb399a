import { screen, waitFor, within } from '@testing-library/react'
import userEvent, { type UserEvent } from '@testing-library/user-event'
import { expect, test, vi } from 'vitest'
import { show } from '../../fake/console'

vi.mock('uplot', () => ({
  default: class {
    setData() {}
    setSize() {}
    destroy() {}
  },
}))

/** Waits until the impact is known, and presses the button. */
async function press(user: UserEvent, dialog: HTMLElement, name: string) {
  const button = within(dialog).getByRole('button', { name })
  await waitFor(() => expect(button.hasAttribute('disabled')).toBe(false))
  await user.click(button)
}

const operations = (requests: { method: string; url: string; body: unknown; headers: Headers }[]) =>
  requests.filter((r) => r.method === 'POST' && r.url === '/api/v1/operations')

test('a reboot shows whom it touches and wants the right name and the override', async () => {
  const user = userEvent.setup()
  const { fleet, requests } = show('/servers/mail-hk-1')
  await user.click(await screen.findByRole('button', { name: '重启: mail-hk-1' }))
  const dialog = await screen.findByRole('dialog')
  await within(dialog).findByText('控制器自己在这台服务器上')
  const impact = within(dialog).getByRole('region', { name: '影响' })
  expect(impact.textContent).toMatch(/受影响的用户2/)
  expect(impact.textContent).toMatch(/排队的邮件未知/)

  await user.type(within(dialog).getByLabelText(/输入 mail-hk-1 以确认/), 'mail-hk-2')
  await press(user, dialog, '重启')
  await waitFor(() => expect(within(dialog).getByRole('alert').textContent).toMatch(/to do it all the same/))
  await user.click(within(dialog).getByLabelText('仍然执行'))
  await press(user, dialog, '重启')
  await waitFor(() =>
    expect(
      within(dialog)
        .getByLabelText(/输入 mail-hk-1/)
        .getAttribute('aria-invalid'),
    ).toBe('true'),
  )
  expect(within(dialog).getByText(/请求编号/)).toBeTruthy()
  expect(fleet.tables.operations).toHaveLength(0)

  await user.clear(within(dialog).getByLabelText(/输入 mail-hk-1/))
  await user.type(within(dialog).getByLabelText(/输入 mail-hk-1/), 'mail-hk-1')
  await press(user, dialog, '重启')
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  expect(operations(requests).at(-1)?.body).toMatchObject({
    kind: 'server.reboot',
    confirm: 'mail-hk-1',
    override: ['controller'],
    window: true,
  })
  expect(fleet.tables.operations).toHaveLength(1)
})

test('a request whose answer was lost is asked again as the same one', async () => {
  const user = userEvent.setup()
  const { fleet, requests } = show('/servers/mail-hk-1')
  const fetch = globalThis.fetch
  let lost = 2
  vi.stubGlobal('fetch', async (url: string, init?: RequestInit) => {
    const answer = await fetch(url, init)
    if (url === '/api/v1/operations' && lost-- > 0) throw new TypeError('connection lost')
    return answer
  })
  const table = await screen.findByRole('table', { name: '服务' })
  await user.click(within(table).getByRole('button', { name: '停止' }))
  const dialog = await screen.findByRole('dialog')
  await press(user, dialog, '停止')
  expect(await within(dialog).findByText('无法连接控制器。')).toBeTruthy()
  await press(user, dialog, '停止')
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  const keys = operations(requests).map((r) => r.headers.get('Idempotency-Key'))
  expect(keys).toHaveLength(3)
  expect(new Set(keys).size).toBe(1)
  expect(fleet.tables.operations.length).toBeGreaterThan(0)
})

test('several targets are rolled over by default, and the operation is shown', async () => {
  const user = userEvent.setup()
  const { requests } = show('/pools/webmail')
  await user.click(await screen.findByRole('button', { name: '滚动重启' }))
  const dialog = await screen.findByRole('dialog', { name: '重启服务（pool=webmail）' })
  expect(await within(dialog).findByText(/目标（2）/)).toBeTruthy()
  await user.clear(within(dialog).getByLabelText('最多不可用'))
  await user.type(within(dialog).getByLabelText('最多不可用'), '2')
  await user.click(within(dialog).getByLabelText(/失败时回退/))
  await press(user, dialog, '重启')
  await screen.findByRole('heading', { level: 1, name: '重启服务（2 个目标）' })
  expect(await screen.findByText('2/2 步')).toBeTruthy()
  expect(operations(requests)[0]?.body).toMatchObject({
    selector: 'pool=webmail',
    rolling: { batch: 1, max_unavailable: 2, health: '5s', drain: true, compensate: false },
  })
})

test('what waits for a second person is not offered to who asked for it', async () => {
  const user = userEvent.setup()
  const { fleet } = show('/servers/mail-hk-1')
  const table = await screen.findByRole('table', { name: '服务' })
  await user.click(within(table).getByRole('button', { name: '停止' }))
  const dialog = await screen.findByRole('dialog')
  await user.click(within(dialog).getByLabelText('需要另一人批准'))
  await press(user, dialog, '停止')
  expect(await screen.findByText(/等待另一人批准/)).toBeTruthy()
  expect(screen.queryByRole('button', { name: '批准' })).toBeNull()
  expect(fleet.tables.operations[0]?.state).toBe('queued')
  await user.click(screen.getByRole('button', { name: '取消操作' }))
  await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: '取消操作' }))
  await waitFor(() => expect(screen.getAllByText('已取消').length).toBeGreaterThan(0))
})
