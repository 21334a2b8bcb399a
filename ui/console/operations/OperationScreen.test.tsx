import { act, screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'
import type { Operation, Step } from '../api/types'

const never = '0001-01-01T00:00:00Z'

/** A rolling restart over three servers whose second step failed and whose first was undone. */
function failed(targets: Operation['targets'], meta: Pick<Operation, 'id' | 'version' | 'created' | 'updated'>) {
  const step = (i: number, s: Partial<Step>): Step => ({
    id: `step-${i}`,
    target: targets[i % 3] ?? { server: '' },
    batch: i % 3,
    state: 'succeeded',
    started: '2026-01-01T00:00:00Z',
    ended: '2026-01-01T00:00:09Z',
    ...s,
  })
  const operation: Operation = {
    ...meta,
    kind: 'service.restart',
    state: 'failed',
    actor: 'operator:admin',
    reason: 'update',
    targets,
    steps: [
      step(0, { log: [{ time: '2026-01-01T00:00:01Z', text: 'restarted' }] }),
      step(1, {
        state: 'failed',
        message: 'mailnode ended at once',
        log: [{ time: '2026-01-01T00:00:02Z', text: 'exit status 1' }],
      }),
      step(2, { state: 'cancelled', started: never, ended: never }),
      step(3, { undo: true, kind: 'service.undrain' }),
    ],
    stopped: 'mailnode on mail-bj-2 failed',
    rolling: { batch: 1, max_unavailable: 1, health: '5s', drain: true, compensate: true },
    expires: never,
    ended: '2026-01-01T00:00:30Z',
  }
  return operation
}

test('one operation tells what failed, why it stopped, and what was undone', async () => {
  const user = userEvent.setup()
  const { fleet, router } = show('/operations')
  const targets = fleet.tables.servers.map((s) => ({ server: s.id, service: 'mailnode' }))
  const operation = failed(targets, fleet.meta())
  act(() => {
    fleet.tables.operations.push(operation)
    void router.navigate({ to: '/operations/$id', params: { id: operation.id } })
  })
  expect(await screen.findByText('mailnode on mail-bj-2 failed')).toBeTruthy()
  expect(screen.getByText('2/3 步')).toBeTruthy()
  const steps = screen.getByRole('table', { name: '步骤' })
  const rows = within(steps).getAllByRole('row').slice(1)
  expect(rows.map((r) => r.querySelector('.state')?.textContent)).toEqual(['成功', '失败', '已取消'])
  expect(rows[1]?.querySelector('details')?.open).toBe(true)
  expect(rows[0]?.querySelector('details')?.open).toBe(false)
  expect(rows[1]?.textContent).toMatch(/exit status 1/)
  expect(within(screen.getByRole('table', { name: '已回退' })).getByText('恢复接任务')).toBeTruthy()

  await user.click(screen.getByRole('button', { name: '重新下达…' }))
  const dialog = await screen.findByRole('dialog', { name: '重启服务（2 个目标）' })
  expect(await within(dialog).findByText('mail-bj-2 mailnode')).toBeTruthy()
  expect(within(dialog).queryByText('mail-hk-1 mailnode')).toBeNull()
})

test('the list is filtered by state and kind, and shows how far each is', async () => {
  const user = userEvent.setup()
  const { fleet } = show('/operations')
  const targets = fleet.tables.servers.map((s) => ({ server: s.id, service: 'mailnode' }))
  const operation = failed(targets, fleet.meta())
  act(() => {
    fleet.tables.operations.push(operation)
    fleet.changed('operations', 'created', operation)
  })
  expect(await screen.findByText('1 步失败')).toBeTruthy()
  await user.selectOptions(screen.getByLabelText('状态'), 'succeeded')
  expect(await screen.findByText('没有操作')).toBeTruthy()
  await user.selectOptions(screen.getByLabelText('状态'), '')
  await user.selectOptions(screen.getByLabelText('种类'), 'server.reboot')
  expect(await screen.findByText('没有操作')).toBeTruthy()
})
