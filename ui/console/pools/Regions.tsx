import type { Pool } from '../api/types'
import { useText } from '../text/language'
import { spreadOf, useMembers } from './data'

/** How a pool is spread; a region with fewer in service than it must keep is marked. */
export function Regions({ pool }: { pool: Pool }) {
  const { t } = useText()
  const spread = spreadOf(useMembers(pool))
  if (spread.length === 0) return <span className="dim">—</span>
  return (
    <ul className="regions">
      {spread.map((r) => {
        const short = r.ready < Math.max(1, pool.per_region)
        return (
          <li key={r.region} data-short={short}>
            {r.region || t('pools.noRegion')} <b className="figures">{`${r.ready}/${r.all}`}</b>
            {short && <span className="visually-hidden">{t('pools.short')}</span>}
          </li>
        )
      })}
    </ul>
  )
}
