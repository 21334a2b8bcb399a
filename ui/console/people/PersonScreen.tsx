import { Button } from '@mantine/core'
import { useMutation, useQuery } from '@tanstack/react-query'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api, ifMatch } from '../api/client'
import { useReread } from '../api/queries'
import type { Person, PersonChange } from '../api/types'
import { useMay } from '../app/rights'
import { useNow } from '../live/now'
import { Confirm } from '../parts/Confirm'
import { Failure, Loading } from '../parts/Feedback'
import { Screen, Section } from '../parts/Screen'
import { State } from '../parts/State'
import { Ago } from '../parts/Time'
import { useTell } from '../parts/Toasts'
import { endEach, SessionTable } from '../sessions/SessionTable'
import { useText } from '../text/language'
import { PersonDialog } from './PersonDialog'
import { ResetDialog } from './ResetDialog'
import { ScopeText } from './Scope'
import { personState } from './state'

const route = getRouteApi('/people/$id')

/** One person: what they may do, and where they are signed in. */
export default function PersonScreen() {
  const { t } = useText()
  const { id } = route.useParams()
  const person = useQuery({
    queryKey: ['people', 'one', id],
    queryFn: ({ signal }) => api.get<Person>(`/people/${encodeURIComponent(id)}`, { signal }),
  })
  if (person.isPending) return <Loading />
  if (!person.data)
    return (
      <Screen title={t('nav.people')}>
        <Failure error={person.error} retry={() => person.refetch()} />
      </Screen>
    )
  return (
    <Screen title={person.data.name} aside={<Acts person={person.data} />}>
      <Facts person={person.data} />
      <Section title={t('nav.sessions')}>
        <SessionTable
          filter={{ kind: 'console' }}
          who={person.data.name}
          one
          label={t('nav.sessions')}
          onEndAll={endEach}
        />
      </Section>
    </Screen>
  )
}

function Facts({ person }: { person: Person }) {
  const { t } = useText()
  const now = useNow()
  const state = personState(person, now)
  const facts = [
    [t('people.state'), <State key="s" of="person" state={state} />],
    [t('security.role'), t(`role.${person.role}`)],
    [t('security.scope'), <ScopeText key="s" scope={person.scope} />],
    [t('security.totp'), t(person.totp ? 'security.totpOn' : 'security.totpOff')],
    [t('people.email'), person.email || <span className="dim">—</span>],
    [t('people.changed'), <Ago key="a" at={person.password_changed} />],
    [t('people.failures'), person.failures],
    [t('people.created'), <Ago key="a" at={person.created} />],
  ] as const
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

type Asked = 'edit' | 'reset' | 'totp' | 'disable' | 'delete'

function Acts({ person }: { person: Person }) {
  const { t } = useText()
  const now = useNow()
  const reread = useReread()
  const tell = useTell()
  const mayWrite = useMay('people', 'write')
  const [asked, setAsked] = useState<Asked>()
  const close = () => setAsked(undefined)
  const change = async (body: PersonChange) => {
    await api.change('PATCH', `/people/${person.id}`, { body, headers: ifMatch(person) })
    await Promise.all([reread('people'), reread('sessions')])
  }
  const atOnce = useMutation({ mutationFn: change, onError: tell.failed })
  if (!mayWrite) return null
  const acts: [string, () => void][] = [
    [t('action.edit'), () => setAsked('edit')],
    [t('people.reset'), () => setAsked('reset')],
  ]
  if (person.totp) acts.push([t('people.resetTOTP'), () => setAsked('totp')])
  if (personState(person, now) === 'locked') acts.push([t('people.unlock'), () => atOnce.mutate({ unlock: true })])
  acts.push(
    person.disabled
      ? [t('people.enable'), () => atOnce.mutate({ disabled: false })]
      : [t('people.disable'), () => setAsked('disable')],
    [t('action.delete'), () => setAsked('delete')],
  )
  return (
    <div className="acts">
      {acts.map(([label, onClick]) => (
        <Button key={label} size="xs" variant="default" onClick={onClick}>
          {label}
        </Button>
      ))}
      {asked === 'edit' && <PersonDialog person={person} onClose={close} />}
      {asked === 'reset' && <ResetDialog person={person} onClose={close} />}
      {asked === 'totp' && (
        <Confirm
          title={t('people.resetTOTPTitle', { name: person.name })}
          action={t('people.resetTOTP')}
          danger
          onConfirm={() => change({ totp: false })}
          onClose={close}
        >
          <p>{t('people.resetTOTPText')}</p>
        </Confirm>
      )}
      {asked === 'disable' && (
        <Confirm
          title={t('people.disableTitle', { name: person.name })}
          action={t('people.disable')}
          danger
          onConfirm={() => change({ disabled: true })}
          onClose={close}
        >
          <p>{t('people.disableText')}</p>
        </Confirm>
      )}
      {asked === 'delete' && <Remove person={person} onClose={close} />}
    </div>
  )
}

function Remove({ person, onClose }: { person: Person; onClose: () => void }) {
  const { t } = useText()
  const navigate = useNavigate()
  const reread = useReread()
  return (
    <Confirm
      title={t('people.deleteTitle', { name: person.name })}
      action={t('action.delete')}
      danger
      onConfirm={async () => {
        await api.change('DELETE', `/people/${person.id}`, { headers: ifMatch(person) })
        await navigate({ to: '/people' })
        await reread('people')
      }}
      onClose={onClose}
    >
      <p>{t('people.deleteText')}</p>
    </Confirm>
  )
}
