import { Button } from '@mantine/core'
import { type ChangeEvent, type FormEvent, type ReactNode, useState } from 'react'
import { ProblemError } from '../api/client'
import { useText } from '../text/language'
import { RequestId, useSentence } from './Feedback'

type TextEvent = ChangeEvent<HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement>

/** The values of a form, what the API said of them, and whether it is being asked. */
export function useForm<V extends object>(initial: V, send: (values: V) => Promise<void>) {
  const [values, setValues] = useState(initial)
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)

  const { say } = useText()

  const set = <K extends keyof V>(name: K, value: V[K]) => setValues((v) => ({ ...v, [name]: value }))
  const complaint = (name: string) => (error instanceof ProblemError ? error.field(name, say) : undefined)

  return {
    values,
    set,
    error,
    busy,
    names: Object.keys(initial),
    complaint,
    /** What a text field needs; `error` is the API's complaint about it. */
    text: (name: keyof V & string) => ({
      value: String(values[name]),
      onChange: (e: TextEvent) => set(name, e.currentTarget.value as V[typeof name]),
      error: complaint(name),
      name,
    }),
    submit: async (e: FormEvent) => {
      e.preventDefault()
      setBusy(true)
      setError(undefined)
      try {
        await send(values)
      } catch (e) {
        setError(e)
      } finally {
        setBusy(false)
      }
    },
  }
}

interface FormProps {
  form: Pick<ReturnType<typeof useForm<object>>, 'error' | 'busy' | 'names' | 'submit'>
  /** The button; without it the form is only looked at. */
  submit: string | undefined
  /** The colour of what destroys. */
  danger?: boolean
  /** Nothing can be sent yet. */
  waits?: boolean
  /** The button that sends nothing; "cancel" without it. */
  keep?: string
  onCancel?: () => void
  children?: ReactNode
}

/** Fields, what is wrong with them all together, and the buttons. */
export function Form({ form, submit, danger, waits, keep, onCancel, children }: FormProps) {
  const { t } = useText()
  return (
    <form className="form" onSubmit={form.submit}>
      {children}
      {form.error !== undefined && <Complaint error={form.error} names={form.names} />}
      <div className="form-buttons">
        {onCancel && (
          <Button variant="default" onClick={onCancel}>
            {keep ?? t('action.cancel')}
          </Button>
        )}
        {submit && (
          <Button type="submit" loading={form.busy} disabled={waits} color={danger ? 'red.8' : undefined}>
            {submit}
          </Button>
        )}
      </div>
    </form>
  )
}

function Complaint({ error, names }: { error: unknown; names: string[] }) {
  const { say } = useText()
  const sentence = useSentence()
  const rest = error instanceof ProblemError ? error.rest(names, say) : []
  return (
    <div className="notice" data-tone="bad" role="alert">
      <div>
        <p>{sentence(error)}</p>
        {rest.map((line) => (
          <p key={line}>{line}</p>
        ))}
        <RequestId error={error} />
      </div>
    </div>
  )
}
