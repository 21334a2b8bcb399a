import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'
import { browserOf } from './SessionTable'

test('everybody who is signed in is listed, found and ended', async () => {
  const user = userEvent.setup()
  const { api } = show('/sessions')
  const table = await screen.findByRole('table', { name: '在线会话' })
  expect(within(table).getAllByRole('row')).toHaveLength(6)
  await user.selectOptions(screen.getByLabelText('入口'), 'IMAP')
  await waitFor(() => expect(within(screen.getByRole('table')).getAllByRole('row')).toHaveLength(2))
  expect(screen.getByText('Thunderbird')).toBeTruthy()
  await user.click(screen.getByRole('button', { name: '结束: user1@example.test 192.0.2.7' }))
  expect(api.access.sessions).toHaveLength(5)
  await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: '结束' }))
  expect(await screen.findByText('没有会话')).toBeTruthy()
  expect(api.access.sessions).toHaveLength(4)
})

test('one who may only look ends nothing', async () => {
  show('/sessions', { role: 'viewer' })
  await screen.findByRole('table', { name: '在线会话' })
  expect(screen.queryByRole('button', { name: /结束/ })).toBeNull()
})

test('browsers are named, other clients are as they call themselves', () => {
  const chrome = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'
  expect(browserOf(chrome)).toBe('Chrome 140, Linux')
  expect(browserOf(`${chrome} Edg/139.0`)).toBe('Edge 139, Linux')
  const safari =
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) AppleWebKit/605.1 (KHTML, like Gecko) Version/18.1 Safari/605.1'
  expect(browserOf(safari)).toBe('Safari 18, Mac OS X')
  expect(browserOf('Thunderbird 128')).toBe('Thunderbird 128')
})
