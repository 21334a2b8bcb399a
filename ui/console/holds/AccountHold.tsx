import { Section } from '../parts/Screen'
import { useText } from '../text/language'
import { useHolds } from './data'
import { Held } from './Held'

/** On an account's page: that its mail is held. Nothing while it is not. */
export function AccountHold({ id }: { id: string }) {
  const { t } = useText()
  const hold = useHolds(id).data?.items[0]
  if (!hold) return null
  return (
    <Section title={t('hold.title')}>
      <div className="hold-box">
        <Held hold={hold} suspending={false} />
      </div>
    </Section>
  )
}
