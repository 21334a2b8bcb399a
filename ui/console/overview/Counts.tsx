import type { Server, ServerState, ServiceState } from '../api/types'
import { group } from '../live/group'
import { useFreshness } from '../live/Live'
import { State } from '../parts/State'
import { useText } from '../text/language'

const serverStates: ServerState[] = ['up', 'suspect', 'down', 'joining']
const serviceStates: ServiceState[] = ['running', 'starting', 'stopping', 'stopped', 'backoff', 'crashed', 'unknown']

interface CountsProps {
  servers: Server[]
  chosen: ServerState | undefined
  onChoose: (s: ServerState | undefined) => void
}

/** How many servers and services are in each state; a server state chooses what is shown below. */
export function Counts({ servers, chosen, onChoose }: CountsProps) {
  const { t, format } = useText()
  const stale = useFreshness() === 'lost'
  const inState = (state: ServerState) => servers.filter((s) => s.state === state).length
  const services = servers.flatMap((s) => s.services)
  const byState = group(services, (s) => s.state)

  return (
    <div className="counts">
      <fieldset className="counts-group">
        <legend>{t('overview.servers')}</legend>
        {serverStates.map((state) => (
          <button
            key={state}
            type="button"
            className="counts-one"
            data-none={inState(state) === 0}
            aria-pressed={chosen === state}
            onClick={() => onChoose(chosen === state ? undefined : state)}
          >
            <b className="figures">{format.number(inState(state))}</b>
            <State of="server" state={state} stale={stale} />
          </button>
        ))}
      </fieldset>
      <fieldset className="counts-group">
        <legend>{t('overview.services')}</legend>
        {serviceStates
          .filter((state) => state === 'running' || byState.has(state))
          .map((state) => (
            <div key={state} className="counts-one" data-none={!byState.has(state)}>
              <b className="figures">{format.number(byState.get(state)?.length ?? 0)}</b>
              <State of="service" state={state} stale={stale} />
            </div>
          ))}
      </fieldset>
    </div>
  )
}
