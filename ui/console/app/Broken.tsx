import { Button } from '@mantine/core'
import { type ErrorComponentProps, Link } from '@tanstack/react-router'
import { Empty, RequestId, useSentence } from '../parts/Feedback'
import { Screen } from '../parts/Screen'
import { useText } from '../text/language'

/** What a screen becomes when it fails while being shown. */
export function BrokenScreen({ error, reset }: ErrorComponentProps) {
  const { t } = useText()
  const sentence = useSentence()
  return (
    <Screen title={t('broken.title')}>
      <div className="notice" data-tone="bad" role="alert">
        <div>
          <p className="notice-title">{t('broken.text')}</p>
          <p>
            <code>{sentence(error)}</code>
          </p>
          <RequestId error={error} />
          <div className="row">
            <Button size="xs" onClick={reset}>
              {t('action.retry')}
            </Button>
            <Button size="xs" variant="default" onClick={() => location.reload()}>
              {t('action.reload')}
            </Button>
          </div>
        </div>
      </div>
    </Screen>
  )
}

/** The address names nothing here. */
export function NotFound() {
  const { t } = useText()
  return (
    <Screen title={t('notFound.title')}>
      <Empty title={t('notFound.text')}>
        <Link to="/">{t('notFound.home')}</Link>
      </Empty>
    </Screen>
  )
}
