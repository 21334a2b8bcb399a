import { Button } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useSignOut } from '../app/Person'
import { PasswordForm } from '../security/PasswordForm'
import { TOTPSetup } from '../security/TOTPSetup'
import { useText } from '../text/language'
import { Door } from './Door'

/** What the signed-in person must do before the console opens. */
export default function Duty({ must }: { must: 'password' | 'totp' }) {
  const { t } = useText()
  const client = useQueryClient()
  const signOut = useSignOut()
  return (
    <Door title={t(`duty.${must}`)} text={t(`duty.${must}Text`)}>
      <h2 className="signin-duty">{t(`duty.${must}`)}</h2>
      {must === 'password' ? (
        <PasswordForm />
      ) : (
        <TOTPSetup onDone={() => void client.invalidateQueries({ queryKey: ['session'] })} />
      )}
      <Button variant="subtle" color="gray" size="xs" onClick={signOut}>
        {t('person.signOut')}
      </Button>
    </Door>
  )
}
