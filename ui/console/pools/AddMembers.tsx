import { Button, Checkbox, TextInput } from '@mantine/core'
import { useState } from 'react'
import { api } from '../api/client'
import { useReread, useServers } from '../api/queries'
import type { Pool, Server } from '../api/types'
import { useFreshness } from '../live/Live'
import { Dialog } from '../parts/Dialog'
import { Empty } from '../parts/Feedback'
import { Form, useForm } from '../parts/Form'
import { State } from '../parts/State'
import { useText } from '../text/language'
import { candidates, fill } from './data'

/** Puts servers into a pool: chosen one by one, or so that the regions are filled evenly. */
export function AddMembers({ pool, onClose }: { pool: Pool; onClose: () => void }) {
  const { t } = useText()
  const reread = useReread()
  const servers = useServers().data ?? []
  const offered = candidates(pool, servers)
  const [wanted, setWanted] = useState('1')
  const form = useForm({ server: [] as string[] }, async ({ server }) => {
    try {
      for (const id of server) await api.change('PUT', `/pools/${pool.id}/members/${id}`, { body: { weight: 1 } })
    } finally {
      await reread('pools') // some may be in when one could not
    }
    onClose()
  })
  const chosen = form.values.server
  const toggle = (id: string) =>
    form.set('server', chosen.includes(id) ? chosen.filter((c) => c !== id) : [...chosen, id])
  const regions = [...new Set(offered.map((s) => s.region))]
  return (
    <Dialog title={t('pools.addTitle', { pool: pool.name })} onClose={onClose}>
      <Form
        form={form}
        submit={t('pools.addMembers', { count: chosen.length })}
        waits={chosen.length === 0}
        onCancel={onClose}
      >
        {offered.length === 0 && <Empty title={t('pools.noCandidates', { service: pool.service })} />}
        {offered.length > 0 && (
          <div className="pool-fill">
            <TextInput
              label={t('pools.spread')}
              type="number"
              min={1}
              value={wanted}
              onChange={(e) => setWanted(e.currentTarget.value)}
            />
            <Button variant="default" onClick={() => form.set('server', fill(pool, servers, Number(wanted)))}>
              {t('pools.choose')}
            </Button>
          </div>
        )}
        {regions.map((region) => (
          <fieldset key={region} className="pool-region">
            <legend>{region || t('pools.noRegion')}</legend>
            {offered
              .filter((s) => s.region === region)
              .map((s) => (
                <Candidate key={s.id} server={s} chosen={chosen.includes(s.id)} onToggle={() => toggle(s.id)} />
              ))}
          </fieldset>
        ))}
      </Form>
    </Dialog>
  )
}

function Candidate({ server, chosen, onToggle }: { server: Server; chosen: boolean; onToggle: () => void }) {
  const stale = useFreshness() === 'lost'
  return (
    <div className="pool-candidate">
      <Checkbox label={server.name} checked={chosen} onChange={onToggle} />
      <State of="server" state={server.state} stale={stale} />
    </div>
  )
}
