import { useEffect, useRef } from 'react'

interface TickProps {
  label: string
  checked: boolean
  /** Some but not all of what it stands for. */
  some?: boolean
  onToggle: () => void
}

/** A bare box to choose a row or a cell with; plain, since there are thousands. */
export function Tick({ label, checked, some = false, onToggle }: TickProps) {
  const ref = useRef<HTMLInputElement>(null)
  useEffect(() => {
    if (ref.current) ref.current.indeterminate = some
  }, [some])
  return (
    <span className="tick">
      <input ref={ref} type="checkbox" aria-label={label} checked={checked} onChange={onToggle} />
    </span>
  )
}
