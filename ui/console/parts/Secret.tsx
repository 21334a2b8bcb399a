import { Button, CopyButton } from '@mantine/core'
import { useText } from '../text/language'
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
