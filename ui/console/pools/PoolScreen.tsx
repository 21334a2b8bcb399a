import { Button } from '@mantine/core'
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api, ifMatch } from '../api/client'
import { useReread } from '../api/queries'
import type { OperationKind, Pool } from '../api/types'
import { useMay } from '../app/rights'
import { Operate, type Order } from '../operations/Operate'
import { Confirm } from '../parts/Confirm'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { Menu } from '../parts/Menu'
import { Screen } from '../parts/Screen'
import { useText } from '../text/language'
import { AddMembers } from './AddMembers'
import { usePool } from './data'
import { Members } from './Members'
import { PoolDialog } from './PoolDialog'
import { Ready } from './Pools'
import './pools.css'
import { Regions } from './Regions'

const route = getRouteApi('/pools/$pool')

/** One pool: its members, where they are, and what is done to all of them. */
export default function PoolScreen() {
  const { t } = useText()
  const name = route.useParams().pool
  const { pool, isPending, error, refetch } = usePool(name)
  return (
    <Screen title={pool?.name ?? name} aside={pool && <Acts pool={pool} />}>
      {isPending && <Loading />}
      {error && <Failure error={error} retry={() => refetch()} />}
      {!isPending && !error && !pool && (
        <Empty title={t('pools.gone', { name })}>
          <Link to="/pools">{t('nav.pools')}</Link>
        </Empty>
      )}
      {pool && <Body pool={pool} />}
    </Screen>
  )
}

function Body({ pool }: { pool: Pool }) {
  const { t } = useText()
  return (
    <>
      {pool.description && <p className="pool-text">{pool.description}</p>}
      <dl className="facts">
        <div>
          <dt>{t('pools.service')}</dt>
          <dd>{pool.service}</dd>
        </div>
        <div>
          <dt>{t('pools.members')}</dt>
          <dd>
            <Ready pool={pool} />
          </dd>
        </div>
        <div>
          <dt>{t('pools.regions')}</dt>
          <dd>
            <Regions pool={pool} />
          </dd>
        </div>
        <div>
          <dt>{t('pools.unavailable')}</dt>
          <dd>{pool.max_unavailable}</dd>
        </div>
        <div>
          <dt>{t('pools.perRegion')}</dt>
          <dd>{pool.per_region || '—'}</dd>
        </div>
      </dl>
      <Members pool={pool} />
    </>
  )
}

type Opened = 'add' | 'edit' | 'delete'

function Acts({ pool }: { pool: Pool }) {
  const { t } = useText()
  const mayChange = useMay('pools', 'write')
  const mayOperate = useMay('operations', 'write')
  const [opened, setOpened] = useState<Opened>()
  const [order, setOrder] = useState<Order>()
  const close = () => setOpened(undefined)
  const selector = `pool=${pool.name}`
  const item = (kind: OperationKind) => ({ label: t(`act.${kind}`), onChoose: () => setOrder({ kind, selector }) })
  const items = [
    ...(mayOperate ? [item('service.upgrade'), item('service.reload')] : []),
    ...(mayChange
      ? [
          { label: t('pools.edit'), onChoose: () => setOpened('edit') },
          { label: t('pools.delete'), danger: true, onChoose: () => setOpened('delete') },
        ]
      : []),
  ]
  return (
    <div className="acts">
      {mayChange && (
        <Button size="xs" variant="default" onClick={() => setOpened('add')}>
          {t('pools.addServers')}
        </Button>
      )}
      {mayOperate && pool.members.length > 0 && (
        <Button size="xs" variant="default" onClick={() => setOrder({ kind: 'service.restart', selector })}>
          {t('pools.restart')}
        </Button>
      )}
      {items.length > 0 && <Menu label={t('server.acts')} items={items} />}
      {opened === 'add' && <AddMembers pool={pool} onClose={close} />}
      {opened === 'edit' && <PoolDialog pool={pool} onClose={close} />}
      {opened === 'delete' && <Remove pool={pool} onClose={close} />}
      <Operate order={order} onClose={() => setOrder(undefined)} />
    </div>
  )
}

function Remove({ pool, onClose }: { pool: Pool; onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const navigate = useNavigate()
  const remove = async () => {
    await api.change('DELETE', `/pools/${pool.id}`, { headers: ifMatch(pool) })
    await navigate({ to: '/pools' })
    await reread('pools')
  }
  return (
    <Confirm
      title={t('pools.deleteTitle', { pool: pool.name })}
      action={t('pools.delete')}
      danger
      onConfirm={remove}
      onClose={onClose}
    >
      <p>{t('pools.deleteText')}</p>
    </Confirm>
  )
}
