import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'
import type { Tenant } from '../api/types'
import { familyOf, treeOf } from './tree'

const tenant = (id: string, parent?: string): Tenant => ({
  id,
  parent,
  name: id,
  kind: 'reseller',
  max_accounts: 0,
  max_domains: 0,
  version: 1,
  created: '',
  updated: '',
})

test('tenants stand below their resellers, by name', () => {
  const tree = treeOf([tenant('c', 'b'), tenant('b', 'a'), tenant('z', 'unseen'), tenant('a'), tenant('a2', 'a')])
  expect(tree.map((x) => [x.id, x.depth])).toEqual([
    ['a', 0],
    ['a2', 1],
    ['b', 1],
    ['c', 2],
    ['z', 0],
  ])
  expect([...familyOf(tree, 'b')]).toEqual(['b', 'c'])
})

test('a tenant is made below a reseller, on a plan', async () => {
  const user = userEvent.setup()
  const { fleet, requests } = show('/tenants')
  await user.click(await screen.findByRole('button', { name: '添加租户' }))
  const dialog = screen.getByRole('dialog')
  await user.type(within(dialog).getByLabelText(/名称/), '新公司')
  const parents = within(within(dialog).getByLabelText('上级代理商')).getAllByRole('option')
  expect(parents.map((o) => o.textContent)).toEqual(['无（直属运营方）', '华东代理']) // an enterprise has none below it
  await user.selectOptions(within(dialog).getByLabelText('上级代理商'), '华东代理')
  await user.selectOptions(
    within(dialog).getByLabelText('套餐'),
    await within(dialog).findByRole('option', { name: '标准版' }),
  )
  await user.type(within(dialog).getByLabelText('最多域名'), '5')
  await user.click(within(dialog).getByRole('button', { name: '保存' }))
  expect(await screen.findByRole('link', { name: '新公司' })).toBeTruthy()
  expect(requests.find((r) => r.method === 'POST')?.body).toEqual({
    name: '新公司',
    kind: 'enterprise',
    parent: fleet.tables.tenants[0]?.id,
    plan: fleet.tables.plans[0]?.id,
    max_domains: 5,
    max_accounts: 0,
    contact: '',
  })
})

test('a tenant counts the domains of all that are below it', async () => {
  const { fleet, view } = show('/tenants')
  const [reseller, enterprise] = fleet.tables.tenants
  if (fleet.tables.domains[0]) fleet.tables.domains[0].tenant = enterprise?.id
  const row = (await screen.findByRole('link', { name: reseller?.name })).closest('tr')
  await waitFor(() => expect(row?.textContent).toContain('1 / 50'))
  view.unmount()
})
