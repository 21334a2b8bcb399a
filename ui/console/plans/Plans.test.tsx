import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'
import { show } from '../../fake/console'
import { limitDraft, limitsOf } from './limits'

test('limits come out of a form as they went in', () => {
  const limits = { quota: 10 * 2 ** 30, message_size: 52_428_801, recipients: 100 }
  expect(limitDraft(limits)).toMatchObject({ quota: '10240', recipients: '100', messages: '' })
  expect(limitsOf(limitDraft(limits))).toEqual(limits)
})

test('a plan says what it says and leaves the rest to what is wider', async () => {
  const user = userEvent.setup()
  const { requests } = show('/plans')
  await user.click(await screen.findByRole('button', { name: '编辑: 标准版' }))
  const dialog = screen.getByRole('dialog')
  await user.clear(within(dialog).getByLabelText('单封收件人'))
  await user.clear(within(dialog).getByLabelText('邮箱容量 (MiB)'))
  await user.type(within(dialog).getByLabelText('邮箱容量 (MiB)'), '2048')
  expect(within(dialog).getByText('= 2.0 GiB')).toBeTruthy()
  const sms = within(dialog).getByRole('group', { name: '短信' })
  await user.click(within(sms).getByRole('radio', { name: '沿用上级' }))
  await user.click(within(within(dialog).getByRole('group', { name: 'POP3' })).getByRole('radio', { name: '关' }))
  await user.click(within(dialog).getByRole('button', { name: '保存' }))
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  expect(requests.find((r) => r.method === 'PUT')?.body).toEqual({
    name: '标准版',
    limits: { quota: 2 ** 31, message_size: 50 * 2 ** 20 },
    features: { forward: false, pop3: false },
  })
})
