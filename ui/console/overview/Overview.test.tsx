import { act, screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import i18next from 'i18next'
import { describe, expect, test } from 'vitest'
import { show } from '../../fake/console'

const row = (name: string) =>
  waitFor(() => {
    const found = document.querySelector<HTMLElement>(`tr[data-server="${name}"]`)
    if (!found) throw new Error(`${name} is not in the table`)
    return found
  })

describe('the overview', () => {
  test('shows every server with its state and figures', async () => {
    show('/')
    const first = await row('mail-hk-1')
    expect(within(first).getByText('在线')).toBeTruthy()
    expect(within(first).getByText('运行中')).toBeTruthy()
    await waitFor(() => expect(first.querySelector('[data-label="CPU"]')?.textContent).toMatch(/%/))
    expect(screen.getAllByRole('rowheader')).toHaveLength(3)
  })

  test('a state arrives without reload', async () => {
    const { fleet } = show('/')
    await row('mail-hk-1')
    const server = fleet.tables.servers[0]
    if (!server) throw new Error('no server')
    server.state = 'down'
    act(() => fleet.changed('servers', 'updated', server))
    await waitFor(async () => expect(within(await row('mail-hk-1')).getByText('离线')).toBeTruthy())
  })

  test('nothing is shown as fresh when the stream is lost', async () => {
    const { stream } = show('/')
    const first = await row('mail-hk-1')
    await waitFor(() => expect(stream.connections).toBe(1))
    act(() => stream.cut())
    expect(await screen.findByText(/正在自动重连/)).toBeTruthy()
    await waitFor(() => expect(within(first).getAllByText('已过期').length).toBeGreaterThan(1))
    for (const state of document.querySelectorAll('main .state'))
      expect(state.getAttribute('data-tone')).not.toBe('good')
  })

  test('search and state narrow what is shown', async () => {
    const user = userEvent.setup()
    show('/', { servers: 50 })
    await row('mail-hk-1')
    await user.click(screen.getByRole('button', { name: /离线/ }))
    await waitFor(() => expect(screen.getAllByRole('rowheader')).toHaveLength(1))
    await user.click(screen.getByRole('button', { name: /离线/ }))
    await user.keyboard('/')
    await user.keyboard('bj-42')
    await waitFor(() => expect(screen.getByText('1 / 50 台')).toBeTruthy())
    await user.keyboard('{Escape}')
    await waitFor(() => expect(screen.getByText('50 / 50 台')).toBeTruthy())
  })

  test('of a thousand servers only those in sight are in the table', async () => {
    show('/', { servers: 1000 })
    await row('mail-bj-42')
    expect(screen.getAllByRole('rowheader').length).toBeLessThan(100)
    expect(screen.getByText('1000 / 1000 台')).toBeTruthy()
    expect(document.querySelectorAll('.tile')).toHaveLength(1000)
  })

  test('adding a server shows the line to run, and an error beside its field', async () => {
    const user = userEvent.setup()
    show('/')
    await row('mail-hk-1')
    await user.click(screen.getByRole('button', { name: '添加服务器' }))
    const dialog = await screen.findByRole('dialog')
    await user.type(within(dialog).getByLabelText(/名称/), 'Bad Name')
    await user.type(within(dialog).getByLabelText(/地址/), '192.0.2.9')
    await user.click(within(dialog).getByRole('button', { name: '添加' }))
    await waitFor(() => expect(within(dialog).getByLabelText(/名称/).getAttribute('aria-invalid')).toBe('true'))
    await user.clear(within(dialog).getByLabelText(/名称/))
    await user.type(within(dialog).getByLabelText(/名称/), 'mail-new')
    await user.click(within(dialog).getByRole('button', { name: '添加' }))
    expect(await within(dialog).findByText(/mailfleet-agent join/)).toBeTruthy()
  })

  test('speaks English', async () => {
    await i18next.changeLanguage('en')
    show('/')
    const first = await row('mail-hk-1')
    expect(within(first).getByText('Up')).toBeTruthy()
    expect(screen.getByRole('heading', { level: 1, name: 'Overview' })).toBeTruthy()
  })
})
