import { Button, CopyButton } from '@mantine/core'
import { useText } from '../text/language'
import { Dialog } from './Dialog'
import { Glyph } from './Glyph'

/** What is shown this once, and a way to take it along. */
export function Secret({ label, text }: { label: string; text: string }) {
  const { t } = useText()
  return (
    <div className="secret">
      <p className="secret-label">{label}</p>
      <pre className="command">{text}</pre>
      <CopyButton value={text}>
        {({ copied, copy }) => (
          <Button variant="default" size="xs" leftSection={copied && <Glyph name="up" size={14} />} onClick={copy}>
            {t(copied ? 'action.copied' : 'action.copy')}
          </Button>
        )}
      </CopyButton>
    </div>
  )
}

interface ShownOnceProps {
  title: string
  /** What it is for, and that it is not shown again. */
  note: string
  label: string
  secret: string
  onClose: () => void
}

/** The dialog after something was made that has a secret: the only time it is shown. */
export function ShownOnce({ title, note, label, secret, onClose }: ShownOnceProps) {
  const { t } = useText()
  return (
    <Dialog title={title} onClose={onClose}>
      <div className="form">
        <p>{note}</p>
        <Secret label={label} text={secret} />
        <div className="form-buttons">
          <Button onClick={onClose}>{t('action.done')}</Button>
        </div>
      </div>
    </Dialog>
  )
}
