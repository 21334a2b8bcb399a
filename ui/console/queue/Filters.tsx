import { Button, NativeSelect, TextInput } from '@mantine/core'
import type { Server } from '../api/types'
import { useText } from '../text/language'
import { everything, type Filter } from './data'

const states = ['waiting', 'active', 'held', 'future'] as const
const ages = [600, 3600, 4 * 3600, 86_400, 3 * 86_400]

interface FiltersProps {
  filter: Filter
  onChange: (f: Filter) => void
  /** Absent when which there are is not the reader's to know. */
  servers: Server[] | undefined
}

/** Which of the queued mail is looked at. */
export function Filters({ filter, onChange, servers }: FiltersProps) {
  const { t, format } = useText()
  const text = (name: keyof Filter, label: string, placeholder: string, type?: 'search') => (
    <TextInput
      size="xs"
      type={type}
      label={label}
      placeholder={placeholder}
      spellCheck={false}
      autoCapitalize="none"
      maxLength={253}
      value={filter[name]}
      onChange={(e) => onChange({ ...filter, [name]: e.currentTarget.value.trim() })}
    />
  )
  const choice = (name: keyof Filter, label: string, any: string, data: { value: string; label: string }[]) => (
    <NativeSelect
      size="xs"
      label={label}
      data={[{ value: '', label: any }, ...data]}
      value={filter[name]}
      onChange={(e) => onChange({ ...filter, [name]: e.currentTarget.value })}
    />
  )
  return (
    <search className="toolbar">
      {servers &&
        choice(
          'server',
          t('sessions.server'),
          t('sessions.anyServer'),
          servers.filter((s) => s.state !== 'removed').map((s) => ({ value: s.name, label: s.name })),
        )}
      {text('destination', t('queue.destination'), 'example.org', 'search')}
      {text('sender', t('queue.sender'), 'a@example.test, @example.test')}
      {text('recipient', t('queue.recipient'), 'b@example.org')}
      {text('last', t('queue.last'), '451')}
      {choice(
        'state',
        t('queue.state'),
        t('operation.anyState'),
        states.map((value) => ({ value, label: t(`state.queue.${value}`) })),
      )}
      {choice(
        'older',
        t('queue.age'),
        t('queue.anyAge'),
        ages.map((s) => ({ value: `${s}s`, label: t('queue.older', { age: format.duration(s) }) })),
      )}
      {Object.values(filter).some(Boolean) && (
        <Button size="xs" variant="subtle" onClick={() => onChange(everything)}>
          {t('queue.clear')}
        </Button>
      )}
    </search>
  )
}
