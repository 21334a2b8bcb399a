import { Button, CopyButton } from '@mantine/core'
import type { Enrolment } from '../api/types'
import { Until } from '../parts/Time'
import { useText } from '../text/language'
import { Arrival } from './Arrival'
import './invitation.css'

/** The line that lets a server's agent join, and what has come of it since. */
export function Invitation({ enrolment, onClose }: { enrolment: Enrolment; onClose: () => void }) {
  const { t } = useText()
  return (
    <div className="form">
      <p>{t('add.run', { name: enrolment.server.name })}</p>
      <pre className="command">{enrolment.command}</pre>
      <div className="command-foot">
        <p className="dim">
          {t('add.once')} <Until at={enrolment.expires} />
        </p>
        <CopyButton value={enrolment.command}>
          {({ copied, copy }) => (
            <Button size="xs" variant="default" onClick={copy}>
              {copied ? t('action.copied') : t('action.copy')}
            </Button>
          )}
        </CopyButton>
      </div>
      <Arrival enrolment={enrolment} onClose={onClose} />
    </div>
  )
}
