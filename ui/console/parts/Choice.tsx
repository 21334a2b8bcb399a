import { useId } from 'react'

interface ChoiceProps<V extends string> {
  label: string
  value: V
  onChange: (v: V) => void
  options: readonly { value: V; label: string }[]
}

/** One of a few, all in sight. Radio buttons, so that arrows move between them. */
export function Choice<V extends string>({ label, value, onChange, options }: ChoiceProps<V>) {
  const name = useId()
  return (
    <fieldset className="choice">
      <legend className="visually-hidden">{label}</legend>
      {options.map((o) => (
        <label key={o.value} data-chosen={o.value === value}>
          <input
            type="radio"
            className="visually-hidden"
            name={name}
            checked={o.value === value}
            onChange={() => onChange(o.value)}
          />
          {o.label}
        </label>
      ))}
    </fieldset>
  )
}
