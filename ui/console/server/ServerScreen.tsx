import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import type { Server } from '../api/types'
import { type Range, ranges } from '../charts/ranges'
import { Choice } from '../parts/Choice'
import { Empty, Failure, Loading } from '../parts/Feedback'
import { Screen, Section } from '../parts/Screen'
import { useText } from '../text/language'
import { Charts } from './Charts'
import { useServer } from './data'
import { Facts } from './Facts'
import { FileSystems } from './FileSystems'
import { History } from './History'
import { Power } from './Power'
import { Preflight } from './Preflight'
import { ServerActs } from './ServerActs'
import './server.css'
import { Services } from './Services'

const route = getRouteApi('/servers/$server')

/** One server: how it is, its services, its charts, what happened to it. */
export default function ServerScreen() {
  const { t } = useText()
  const name = route.useParams().server
  const { server, error, isPending, refetch } = useServer(name)
  return (
    <Screen title={server?.name ?? name} aside={server && <ServerActs server={server} />}>
      {isPending && <Loading rows={10} />}
      {error && <Failure error={error} retry={() => refetch()} />}
      {!isPending && !error && !server && (
        <Empty title={t('server.none', { name })}>
          <Link to="/">{t('notFound.home')}</Link>
        </Empty>
      )}
      {server && <Body server={server} />}
    </Screen>
  )
}

function Body({ server }: { server: Server }) {
  const { t } = useText()
  const navigate = useNavigate()
  const { range = '1h' } = route.useSearch()
  const choose = (r: Range) =>
    navigate({ to: '/servers/$server', params: { server: server.name }, search: { range: r }, replace: true })
  return (
    <>
      <Facts server={server} />
      <Services server={server} />
      <Section
        title={t('server.charts')}
        aside={
          <Choice
            label={t('server.range')}
            value={range}
            onChange={choose}
            options={ranges.map((r) => ({ value: r, label: t(`range.${r}`) }))}
          />
        }
      >
        <Charts server={server} range={range} />
      </Section>
      <FileSystems server={server} />
      <Preflight server={server} />
      <Power server={server} />
      <History server={server} />
    </>
  )
}
