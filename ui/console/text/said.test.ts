import { beforeEach, expect, test } from 'vitest'
import { addSayings, translate } from './language'
import said from './said.json'

// That everything the programs say is among these texts is a test of controller/e2e/law.
beforeEach(() => addSayings('zh', said))

test('what is not translated is said as the program said it', () => {
  const release = '{1} on {2} is to run it: upgrade that to another release first'
  const params = ['mailnode', 'mail-1']
  expect(translate('zh', 'English', { template: release, params })).toMatch(/^mail-1 上的 mailnode/)
  expect(translate('en', 'English', { template: release, params })).toBe('English')
  expect(translate('zh', 'English', { template: 'never said' })).toBe('English')
  expect(translate('zh', 'English', undefined)).toBe('English')
})

test('a text that came without its parts is its own template', () => {
  expect(translate('zh', 'its agent is back')).toBe('代理已恢复')
  expect(translate('en', 'its agent is back')).toBe('its agent is back')
})

test('a sentence within another is said in the language too, and a name is left as it is', () => {
  const of = {
    template: '{1} of {2} {3}: {4}',
    params: ['service.restart', 'running on mail-1', 'failed', 'service running does not run'],
    within: {
      1: { template: 'service.restart' },
      2: { template: '{1} on {2}', params: ['running', 'mail-1'] },
      3: { template: 'failed' },
      4: { template: 'service {1} does not run', params: ['running'] },
    },
  }
  expect(translate('zh', 'English', of)).toBe('重启服务（mail-1 上的 running）失败：服务 running 没有运行')
  expect(translate('en', 'English', of)).toBe('English')
})

test('of a sentence that nobody translated the parts are said in the language', () => {
  const of = { template: '{1}; 7', params: ['failed'], within: { 1: { template: 'failed' } } }
  expect(translate('zh', 'failed; 7', of)).toBe('失败; 7')
})
