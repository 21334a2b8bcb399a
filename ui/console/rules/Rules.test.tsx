import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'

test('a rule is made; what the API complains of stands beside its field', async () => {
  const user = userEvent.setup()
  const { fleet } = show('/rules')
  await user.click(await screen.findByRole('button', { name: '新建规则' }))
  const dialog = screen.getByRole('dialog')
  await user.type(within(dialog).getByLabelText(/名称/), '负载过高')
  await user.type(within(dialog).getByLabelText(/指标/), 'load load1')
  await user.type(within(dialog).getByLabelText(/阈值/), '8')
  await user.click(within(dialog).getByRole('button', { name: '保存' }))
  await waitFor(() => expect(within(dialog).getByLabelText(/指标/).getAttribute('aria-invalid')).toBe('true'))

  await user.clear(within(dialog).getByLabelText(/指标/))
  await user.type(within(dialog).getByLabelText(/指标/), 'load_load1')
  expect(within(dialog).getByText('负载（1 分钟）', { selector: 'p' })).toBeTruthy()
  await user.click(within(dialog).getByRole('button', { name: '保存' }))
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  expect(await screen.findByText('负载过高')).toBeTruthy()
  expect(fleet.tables.rules.at(-1)).toMatchObject({ metric: 'load_load1', comparison: '>', value: 8, for: '60s' })
})

test('an edited rule is changed in the version that was seen', async () => {
  const user = userEvent.setup()
  const { fleet, requests } = show('/rules')
  const version = fleet.tables.rules[0]?.version
  await user.click(await screen.findByRole('button', { name: '编辑: 内存不足' }))
  const value = within(screen.getByRole('dialog')).getByLabelText(/阈值/)
  await user.clear(value)
  await user.type(value, '95')
  await user.click(screen.getByRole('button', { name: '保存' }))
  await waitFor(() => expect(fleet.tables.rules[0]?.value).toBe(95))
  const put = requests.find((r) => r.method === 'PUT')
  expect(put?.headers.get('If-Match')).toBe(`"${version}"`)
  expect(put?.body).toMatchObject({ clear: 85, for: '60s' })
})

test('deleting a rule asks first', async () => {
  const user = userEvent.setup()
  const { fleet } = show('/rules')
  await user.click(await screen.findByRole('button', { name: '删除: 内存不足' }))
  expect(fleet.tables.rules).toHaveLength(1)
  await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: '删除' }))
  expect(await screen.findByText('还没有规则')).toBeTruthy()
})

test('a rule is switched off in place', async () => {
  const user = userEvent.setup()
  const { fleet } = show('/rules')
  await user.click(await screen.findByRole('switch', { name: /内存不足/ }))
  await waitFor(() => expect(fleet.tables.rules[0]?.enabled).toBe(false))
  expect(await screen.findByText('已停用')).toBeTruthy()
})
