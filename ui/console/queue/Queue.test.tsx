import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'

test('the queue is summed up by destination, and a destination picks its mail', async () => {
  const user = userEvent.setup()
  show('/queue')
  const sums = await screen.findByRole('table', { name: '按目的地' })
  expect(within(sums).getByText('451 4.7.1 Greylisted, try again later')).toBeTruthy()
  expect(await screen.findByText('筛选出 60 封')).toBeTruthy()
  await user.click(within(sums).getByRole('button', { name: 'slow.example.org' }))
  expect(await screen.findByText('筛选出 20 封')).toBeTruthy()
  await user.type(screen.getByLabelText('最后答复'), 'never said')
  expect(await screen.findByText('没有符合条件的邮件')).toBeTruthy()
})

test('a delete on a filter shows the count and wants it confirmed', async () => {
  const user = userEvent.setup()
  const { fleet, requests } = show('/queue')
  await user.type(await screen.findByLabelText('目的地'), 'slow.example.org')
  await screen.findByText('筛选出 20 封')
  await user.click(screen.getByRole('button', { name: '删除' }))
  const dialog = await screen.findByRole('dialog')
  const impact = await within(dialog).findByRole('region', { name: '影响' })
  expect(impact.textContent).toMatch(/邮件数40/)
  for (const box of within(dialog).queryAllByLabelText('仍然执行')) await user.click(box)
  await user.type(within(dialog).getByLabelText(/输入 2 以确认/), '2')
  const button = within(dialog).getByRole('button', { name: '删除' })
  await waitFor(() => expect(button.hasAttribute('disabled')).toBe(false))
  await user.click(button)
  await waitFor(() =>
    expect(requests.find((r) => r.url === '/api/v1/operations')?.body).toMatchObject({
      kind: 'queue.delete',
      targets: fleet.tables.servers.slice(0, 2).map((s) => ({ server: s.id })),
      params: { queue: { filter: { destination: 'slow.example.org' } } },
      confirm: '2',
    }),
  )
})

test('one message shows its envelope, its recipients and the last reply', async () => {
  const user = userEvent.setup()
  const { fleet, requests } = show('/queue')
  const table = await screen.findByRole('table', { name: '邮件队列' })
  await user.click((await within(table).findAllByRole('button'))[0] as HTMLElement)
  const drawer = screen.getByRole('dialog', { name: '队列中的邮件' })
  expect(await within(drawer).findByText('friend0@slow.example.org')).toBeTruthy()
  expect(within(drawer).getByText('451 4.7.1 Greylisted, try again later')).toBeTruthy()
  expect(within(drawer).getByRole('link', { name: '下载邮件' }).getAttribute('href')).toMatch(
    /\/queue\/.+\.0\/message$/,
  )
  await user.click(within(drawer).getByRole('button', { name: '扣留' }))
  const dialog = await screen.findByRole('dialog', { name: '扣留 mail-hk-1 的队列邮件' })
  await within(dialog).findByRole('region', { name: '影响' })
  expect(requests.findLast((r) => r.url.endsWith('/preview'))?.body).toMatchObject({
    targets: [{ server: fleet.tables.servers[0]?.id }],
    params: { queue: { filter: { ids: ['entry-0'] } } },
  })
})

test('mail is rerouted to a host that is asked for first', async () => {
  const user = userEvent.setup()
  const { requests } = show('/queue')
  await user.click(await screen.findByRole('button', { name: '改道' }))
  await user.type(within(screen.getByRole('dialog')).getByLabelText(/主机/), 'relay.example.test')
  await user.click(screen.getByRole('button', { name: '查看影响' }))
  await waitFor(() =>
    expect(requests.findLast((r) => r.url.endsWith('/preview'))?.body).toMatchObject({
      kind: 'queue.reroute',
      params: { queue: { filter: {}, route: { host: 'relay.example.test', tls: 'opportunistic' } } },
    }),
  )
})

test('a domain administrator deletes what the domain sends once the count is typed, and may not reroute', async () => {
  const user = userEvent.setup()
  const { requests } = show('/queue', { role: 'domain-admin' })
  await screen.findByText('筛选出 60 封')
  expect(screen.queryByRole('button', { name: '改道' })).toBeNull()
  expect(screen.queryByLabelText('服务器')).toBeNull()
  await user.click(screen.getByRole('button', { name: '删除' }))
  const dialog = await screen.findByRole('dialog')
  const button = within(dialog).getByRole('button', { name: '删除' })
  await user.type(await within(dialog).findByLabelText(/输入 60 以确认/), '59')
  expect(button.hasAttribute('disabled')).toBe(true)
  await user.clear(within(dialog).getByLabelText(/输入 60 以确认/))
  await user.type(within(dialog).getByLabelText(/输入 60 以确认/), '60')
  await user.click(button)
  await waitFor(() =>
    expect(requests.find((r) => r.url.startsWith('/api/v1/queue/acts'))?.body).toMatchObject({
      act: 'delete',
      filter: {},
      confirm: 60,
      report: true,
    }),
  )
})

test('a domain administrator sees what waits for the domain, and holds only what may be held', async () => {
  const user = userEvent.setup()
  show('/queue', { role: 'domain-admin' })
  const table = await screen.findByRole('table', { name: '邮件队列' })
  const row = (await within(table).findByRole('button', { name: 'stranger@example.net' })).closest('tr') as HTMLElement
  expect(row.textContent).toContain('发往本域')
  await user.click(within(row).getByRole('button'))
  const drawer = screen.getByRole('dialog', { name: '队列中的邮件' })
  expect(await within(drawer).findByText('另有 2 个其他域的收件人')).toBeTruthy()
  await user.click(within(drawer).getByRole('button', { name: '关闭' }))
  await user.click(screen.getByRole('button', { name: '扣留' }))
  const dialog = await screen.findByRole('dialog')
  expect(await within(dialog).findByText('筛选出 59 封')).toBeTruthy()
  expect(within(dialog).getByText(/只有来自本系统之外/)).toBeTruthy()
})
