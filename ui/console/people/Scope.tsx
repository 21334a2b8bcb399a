import { ActionIcon, Button, NativeSelect, TextInput } from '@mantine/core'
import { useId } from 'react'
import { useAll, useSession } from '../api/queries'
import type { Domain, Role, Tenant } from '../api/types'
import { Glyph } from '../parts/Glyph'
import { useText } from '../text/language'
import { type Part, type Place, part, partsOf, placesOf } from './grant'
import './scope.css'

/** Where a role holds, in words. */
export function ScopeText({ scope }: { scope: readonly string[] | undefined }) {
  const { t } = useText()
  const parts = partsOf(scope)
  const tenants = useAll<Tenant>('tenants')
  return parts.map((p, i) => (
    <span key={`${p.place}:${p.name}`}>
      {i > 0 && ', '}
      {p.place === 'tenant' ? (tenants.find((x) => x.id === p.name)?.name ?? p.name) : p.name || t('scope.fleet')}
      {p.place === 'tenant' && <small className="dim"> {t('scope.tenant')}</small>}
    </span>
  ))
}

interface FieldProps {
  role: Role
  parts: Part[]
  onChange: (parts: Part[]) => void
  complaint?: string
}

/** Chooses where a role holds. */
export function ScopeField({ role, parts, onChange, complaint }: FieldProps) {
  const { t } = useText()
  const session = useSession().data
  if (!session) return null
  const places = placesOf(role, session)
  const set = (id: number, to: Partial<Part>) => onChange(parts.map((p) => (p.id === id ? { ...p, ...to } : p)))
  const narrow = parts.every((p) => p.place !== 'fleet')
  return (
    <fieldset className="scope">
      <legend>{t('scope.label')}</legend>
      {parts.map((p) => (
        <div className="scope-part" key={p.id}>
          <NativeSelect
            aria-label={t('scope.place')}
            data={places.map((value) => ({ value, label: t(`scope.${value}`) }))}
            value={p.place}
            onChange={(e) => set(p.id, { place: e.currentTarget.value as Place, name: '' })}
          />
          <Name part={p} onChange={(name) => set(p.id, { name })} />
          {parts.length > 1 && (
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label={t('scope.remove', { name: p.name })}
              onClick={() => onChange(parts.filter((x) => x !== p))}
            >
              <Glyph name="close" />
            </ActionIcon>
          )}
        </div>
      ))}
      {complaint && (
        <p className="scope-complaint" role="alert">
          {complaint}
        </p>
      )}
      {narrow && (
        <Button
          size="compact-xs"
          variant="subtle"
          leftSection={<Glyph name="plus" size={12} />}
          onClick={() => onChange([...parts, part(parts.at(-1)?.place ?? 'domain')])}
        >
          {t('scope.more')}
        </Button>
      )}
    </fieldset>
  )
}

function Name({ part, onChange }: { part: Part; onChange: (name: string) => void }) {
  const { t } = useText()
  const list = useId()
  const tenants = useAll<Tenant>('tenants')
  const domains = useAll<Domain>('domains')
  if (part.place === 'fleet') return null
  if (part.place === 'tenant')
    return (
      <NativeSelect
        aria-label={t('scope.tenant')}
        data={[{ value: '', label: t('scope.choose') }, ...tenants.map((x) => ({ value: x.id, label: x.name }))]}
        value={part.name}
        required
        onChange={(e) => onChange(e.currentTarget.value)}
      />
    )
  return (
    <>
      <TextInput
        aria-label={t(`scope.${part.place}`)}
        placeholder={part.place === 'domain' ? 'example.com' : 'user@example.com'}
        list={part.place === 'domain' ? list : undefined}
        spellCheck={false}
        autoCapitalize="none"
        autoComplete="off"
        required
        value={part.name}
        onChange={(e) => onChange(e.currentTarget.value)}
      />
      <datalist id={list}>
        {domains.slice(0, 500).map((d) => (
          <option key={d.id} value={d.name} />
        ))}
      </datalist>
    </>
  )
}
