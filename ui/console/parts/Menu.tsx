import { Button } from '@mantine/core'
import { type KeyboardEvent, useEffect, useId, useRef, useState } from 'react'
import { Glyph, type GlyphName } from './Glyph'

export interface MenuItem {
  label: string
  onChoose: () => void
  danger?: boolean
}

interface MenuProps {
  /** What it is called: the word on the button, or for screen readers only when there is a glyph. */
  label: string
  glyph?: GlyphName
  items: MenuItem[]
  size?: 'xs' | 'sm'
}

/** More to do than there is room for buttons. Arrows move, Esc closes (ARIA practices, menu button). */
export function Menu({ label, glyph, items, size = 'xs' }: MenuProps) {
  const id = useId()
  const button = useRef<HTMLButtonElement>(null)
  const list = useRef<HTMLDivElement>(null)
  const [at, setAt] = useState<{ top: number; right: number }>()
  const close = () => setAt(undefined)

  const open = () => {
    const box = button.current?.getBoundingClientRect()
    if (box) setAt({ top: box.bottom + 4, right: document.documentElement.clientWidth - box.right })
  }
  useEffect(() => {
    if (!at) return
    list.current?.querySelector('button')?.focus()
    const away = (e: Event) => {
      const inside =
        e.target instanceof Node && (list.current?.contains(e.target) || button.current?.contains(e.target))
      if (!inside) setAt(undefined)
    }
    addEventListener('pointerdown', away)
    addEventListener('scroll', away, true)
    addEventListener('resize', away)
    return () => {
      removeEventListener('pointerdown', away)
      removeEventListener('scroll', away, true)
      removeEventListener('resize', away)
    }
  }, [at])

  const onKey = (e: KeyboardEvent) => {
    const all = [...(list.current?.querySelectorAll('button') ?? [])]
    const here = all.indexOf(document.activeElement as HTMLButtonElement)
    const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: all.length - 1 }[e.key]
    if (to !== undefined) {
      e.preventDefault()
      all.at(to % all.length)?.focus()
    } else if (e.key === 'Escape' || e.key === 'Tab') {
      e.stopPropagation()
      if (e.key === 'Escape') e.preventDefault()
      close()
      button.current?.focus()
    }
  }

  return (
    <>
      <Button
        ref={button}
        size={size}
        variant="default"
        aria-haspopup="menu"
        aria-expanded={at !== undefined}
        aria-controls={at && id}
        aria-label={glyph && label}
        title={glyph && label}
        onClick={() => (at ? close() : open())}
      >
        {glyph ? <Glyph name={glyph} /> : label}
      </Button>
      {at && (
        <div ref={list} id={id} role="menu" aria-label={label} className="menu" style={at} onKeyDown={onKey}>
          {items.map((item) => (
            <button
              key={item.label}
              type="button"
              role="menuitem"
              tabIndex={-1}
              data-danger={item.danger}
              onClick={() => {
                close()
                button.current?.focus()
                item.onChoose()
              }}
            >
              {item.label}
            </button>
          ))}
        </div>
      )}
    </>
  )
}
