import { Link } from '@tanstack/react-router'
import type { Release, Server } from '../api/types'
import { useText } from '../text/language'
import { usesOf } from './uses'

/** More places than this are counted, not named. */
const named = 3

/** Where a release runs. */
export function UsedBy({ release, servers }: { release: Release; servers: Server[] }) {
  const { t } = useText()
  const uses = usesOf(release, servers)
  if (uses.length === 0) return <span className="dim">{t('releases.unused')}</span>
  const place = ({ server, service }: (typeof uses)[number]) => (
    <li key={`${server.id}/${service?.name ?? ''}`}>
      <Link to="/servers/$server" params={{ server: server.name }}>
        {server.name}
      </Link>
      {service && ` ${service.name}`}
    </li>
  )
  if (uses.length <= named) return <ul>{uses.map(place)}</ul>
  return (
    <details>
      <summary>{t('releases.places', { count: uses.length })}</summary>
      <ul>{uses.map(place)}</ul>
    </details>
  )
}
