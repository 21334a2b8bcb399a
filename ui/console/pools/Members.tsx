import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { api, ifMatch } from '../api/client'
import { useReread } from '../api/queries'
import type { Pool } from '../api/types'
import { useMay } from '../app/rights'
import { useFreshness } from '../live/Live'
import { Act } from '../parts/Acts'
import { Confirm } from '../parts/Confirm'
import { type Column, Rows } from '../parts/DataTable'
import { Empty } from '../parts/Feedback'
import { Section } from '../parts/Screen'
import { State } from '../parts/State'
import { useTell } from '../parts/Toasts'
import { useText } from '../text/language'
import { type MemberNow, useMembers } from './data'

/** The servers of a pool and how each takes part. */
export function Members({ pool }: { pool: Pool }) {
  const { t } = useText()
  const stale = useFreshness() === 'lost'
  const mayChange = useMay('pools', 'write')
  const members = useMembers(pool)
  const columns: Column<MemberNow>[] = [
    { head: t('pools.server'), cell: (m) => <Name member={m} /> },
    { head: t('server.region'), cell: (m) => m.server?.region || <span className="dim">—</span> },
    {
      head: t('overview.state'),
      cell: (m) => m.server && <State of="server" state={m.server.state} stale={stale} />,
    },
    {
      head: t('pools.serviceState'),
      cell: (m) => (
        <>
          {m.service && <State of="service" state={m.service.state} stale={stale} />}
          {m.service?.drained && <span className="mark">{t('service.drained')}</span>}
        </>
      ),
    },
    {
      head: t('pools.weight'),
      number: true,
      cell: (m) => <span className="figures">{m.weight === 0 ? t('pools.out') : m.weight}</span>,
    },
  ]
  if (mayChange)
    columns.push({ head: t('action.actions'), quiet: true, cell: (m) => <MemberActs pool={pool} member={m} /> })
  return (
    <Section title={t('pools.members')}>
      {members.length > 0 ? (
        <Rows label={t('pools.members')} columns={columns} rows={members} />
      ) : (
        <Empty title={t('pools.empty')} />
      )}
    </Section>
  )
}

const nameOf = (m: MemberNow) => m.server?.name ?? m.id.slice(0, 8)

function Name({ member }: { member: MemberNow }) {
  if (!member.server) return nameOf(member)
  return (
    <Link to="/servers/$server" params={{ server: member.server.name }} className="row-link">
      {member.server.name}
    </Link>
  )
}

function MemberActs({ pool, member }: { pool: Pool; member: MemberNow }) {
  const { t } = useText()
  const tell = useTell()
  const reread = useReread()
  const [busy, setBusy] = useState(false)
  const [removing, setRemoving] = useState(false)
  const path = `/pools/${pool.id}/members/${member.id}`
  const weigh = async () => {
    setBusy(true)
    try {
      await api.change('PUT', path, { body: { weight: member.weight === 0 ? 1 : 0 }, headers: ifMatch(pool) })
      await reread('pools')
    } catch (e) {
      tell.failed(e)
    } finally {
      setBusy(false)
    }
  }
  const remove = async () => {
    await api.change('DELETE', path, { headers: ifMatch(pool) })
    await reread('pools')
  }
  return (
    <div className="acts">
      <Act
        label={t(member.weight === 0 ? 'pools.weighIn' : 'pools.weighOut')}
        of={nameOf(member)}
        busy={busy}
        onClick={weigh}
      />
      <Act label={t('pools.remove')} of={nameOf(member)} onClick={() => setRemoving(true)} />
      {removing && (
        <Confirm
          title={t('pools.removeTitle', { server: nameOf(member), pool: pool.name })}
          action={t('pools.remove')}
          danger
          onConfirm={remove}
          onClose={() => setRemoving(false)}
        >
          <p>{t('pools.removeText')}</p>
        </Confirm>
      )}
    </div>
  )
}
