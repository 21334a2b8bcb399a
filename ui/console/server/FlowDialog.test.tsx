import { screen, waitFor, within } from '@testing-library/react'
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

/** Opens the mail settings of the first server's mailnode. */
async function opened() {
  const user = userEvent.setup()
  const shown = show('/servers/mail-hk-1')
  const table = await screen.findByRole('table', { name: '服务' })
  await user.click(within(table).getByRole('button', { name: '更多操作: mailnode' }))
  await user.click(await screen.findByRole('menuitem', { name: '收信与发信设置' }))
  return { user, ...shown, dialog: await screen.findByRole('dialog', { name: /收信与发信设置/ }) }
}

test('the mail settings are shown with what holds when nothing is said, and only what is typed is sent', async () => {
  const { user, requests, dialog } = await opened()
  const field = (name: string | RegExp) => within(dialog).getByLabelText(name)
  expect(field('单地址连接数上限').getAttribute('placeholder')).toBe('50')
  expect(field('单网段连接数上限').getAttribute('placeholder')).toBe('500')
  expect(within(field('DMARC 失败')).getByText('默认（放入垃圾邮件）')).toBeTruthy()
  await user.type(field('单地址连接数上限'), '20')
  await user.type(field('信任的 ARC 封印域'), 'lists.example.test')
  await user.type(field('回调可达的内网网段'), '192.0.2.0/24')
  await user.selectOptions(field('DMARC 失败'), '拒收')
  await user.click(within(dialog).getByText('单独设置的端口'))
  await user.click(within(dialog).getByRole('button', { name: '添加端口' }))
  const port = within(dialog).getByRole('group', { name: /端口/ })
  await user.type(within(port).getByLabelText(/^端口/), '2525')
  await user.type(within(port).getByLabelText('连接总数上限'), '9')
  await user.click(within(dialog).getByRole('button', { name: '保存' }))
  await waitFor(() => expect(screen.queryByRole('dialog', { name: /收信与发信设置/ })).toBeNull())
  const sent = requests.findLast((r) => r.method === 'PATCH')?.body as { config: { mail: object } } | undefined
  expect(sent?.config.mail).toEqual({
    hooks_to: ['192.0.2.0/24'],
    submission: {},
    receiving: {
      address_connections: 20,
      sealers: ['lists.example.test'],
      dmarc: 'refuse',
      listeners: [{ port: 2525, connections: 9 }],
    },
  })
})
