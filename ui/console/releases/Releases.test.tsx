import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'
import { trusted } from '../../fake/fleet'

const program = new File(['program'], 'mailfleet-mailnode')
const signature = (key: string) => {
  const signed = { program: 'mailfleet-mailnode', number: '0.2.0', platform: 'linux/amd64', size: 7, sha256: 'ab' }
  return new File([JSON.stringify({ ...signed, key, signature: 'c2ln' })], 'mailfleet-mailnode.release')
}

/** Chooses the program, or with "[accept]" its signature. */
async function choose(of: '' | '[accept]', file: File) {
  const inputs = [...document.querySelectorAll<HTMLInputElement>(`dialog input[type=file]${of}`)]
  const input = inputs.find((i) => i.hasAttribute('accept') === (of !== ''))
  await userEvent.upload(input as HTMLInputElement, file)
}

test('a release tells where it runs, and is removed after a question', async () => {
  const user = userEvent.setup()
  const { fleet } = show('/releases')
  const row = within(await screen.findByRole('table', { name: '发行版' })).getAllByRole('row')[1] as HTMLElement
  expect(await within(row).findByRole('link', { name: 'mail-bj-2' })).toBeTruthy()
  await user.click(within(row).getByRole('button', { name: '移除: mailfleet-mailnode 0.1.0' }))
  await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: '移除' }))
  await waitFor(() => expect(fleet.tables.releases).toHaveLength(1))
})

test('what is not signed with a trusted key is refused in one sentence', async () => {
  const user = userEvent.setup()
  const { fleet } = show('/releases')
  await user.click(await screen.findByRole('button', { name: '上传发行版' }))
  const dialog = screen.getByRole('dialog')
  await choose('', program)
  await choose('[accept]', new File(['notes'], 'notes.release'))
  expect(await within(dialog).findByText('notes.release 不是签名文件。')).toBeTruthy()
  await choose('[accept]', signature('another'))
  expect(await within(dialog).findByText(/mailfleet-mailnode 0.2.0/)).toBeTruthy()
  await user.click(within(dialog).getByRole('button', { name: '上传' }))
  expect((await within(dialog).findByRole('alert')).textContent).toMatch(/no key that this controller trusts/)
  expect(fleet.tables.releases).toHaveLength(2)

  await choose('[accept]', signature(trusted))
  await user.click(within(dialog).getByRole('button', { name: '上传' }))
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  expect(fleet.tables.releases[0]).toMatchObject({ number: '0.2.0' })
})

test('an upgrade begins at a release, over what a selector covers', async () => {
  const user = userEvent.setup()
  const { requests } = show('/releases')
  await user.click(await screen.findByRole('button', { name: '升级到此版本: mailfleet-mailnode 0.1.0' }))
  await user.type(within(screen.getByRole('dialog')).getByLabelText(/选择器/), 'region=hk')
  await user.click(screen.getByRole('button', { name: '查看影响' }))
  const dialog = await screen.findByRole('dialog', { name: /升级服务/ })
  const start = await within(dialog).findByRole('button', { name: '升级' })
  await waitFor(() => expect(start.hasAttribute('disabled')).toBe(false))
  await user.click(start)
  await waitFor(() =>
    expect(requests.find((r) => r.url === '/api/v1/operations')?.body).toMatchObject({
      kind: 'service.upgrade',
      selector: 'region=hk',
      params: { release: expect.stringMatching(/-/) },
    }),
  )
})
