import { useNavigate } from '@tanstack/react-router'
import { useEffect } from 'react'

const typing = (e: EventTarget | null) =>
  e instanceof HTMLElement && (e.isContentEditable || /^(input|textarea|select)$/i.test(e.tagName))

/** Makes "/" go to the screen's search field, or to the overview's where the screen has none. */
export function useSearchKey(): void {
  const navigate = useNavigate()
  useEffect(() => {
    const onKey = async (e: KeyboardEvent) => {
      if (e.key !== '/' || e.ctrlKey || e.metaKey || e.altKey || typing(e.target)) return
      if (document.querySelector('dialog[open]')) return
      e.preventDefault()
      if (!focusSearch()) {
        await navigate({ to: '/' })
        requestAnimationFrame(focusSearch)
      }
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [navigate])
}

function focusSearch(): boolean {
  const field = document.querySelector<HTMLInputElement>('main input[type="search"]')
  field?.focus()
  field?.select()
  return field !== null
}
