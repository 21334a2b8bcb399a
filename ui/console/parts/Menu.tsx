import { Button } from '@mantine/core'
import { type KeyboardEvent, useEffect, useId, useLayoutEffect, useRef, useState } from 'react'
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

/**
 * Where a menu goes: under its button, their right sides in line, or over it where there
 * is more room; never off the screen, however narrow that is.
 */
export function place(button: DOMRect, menu: DOMRect): { left: number; top: number } {
  const { clientWidth, clientHeight } = document.documentElement
  const gap = 4
  const within = (want: number, size: number, room: number) => Math.max(gap, Math.min(want, room - size - gap))
  const under = button.bottom + gap
  const fits = under + menu.height <= clientHeight || button.top < clientHeight - button.bottom
  return {
    left: within(button.right - menu.width, menu.width, clientWidth),
    top: within(fits ? under : button.top - gap - menu.height, menu.height, clientHeight),
  }
}

/** More to do than there is room for buttons. Arrows move, Esc closes (ARIA practices, menu button). */
export function Menu({ label, glyph, items, size = 'xs' }: MenuProps) {
  const id = useId()
  const button = useRef<HTMLButtonElement>(null)
  const list = useRef<HTMLDivElement>(null)
  const [isOpen, setOpen] = useState(false)
  const close = () => setOpen(false)

  useLayoutEffect(() => {
    if (!isOpen || !button.current || !list.current) return
    const { left, top } = place(button.current.getBoundingClientRect(), list.current.getBoundingClientRect())
    list.current.style.left = `${left}px`
    list.current.style.top = `${top}px`
  }, [isOpen])
  useEffect(() => {
    if (!isOpen) return
    list.current?.querySelector('button')?.focus()
    const away = (e: Event) => {
      const inside =
        e.target instanceof Node && (list.current?.contains(e.target) || button.current?.contains(e.target))
      if (!inside) setOpen(false)
    }
    addEventListener('pointerdown', away)
    addEventListener('scroll', away, true)
    addEventListener('resize', away)
    return () => {
      removeEventListener('pointerdown', away)
      removeEventListener('scroll', away, true)
      removeEventListener('resize', away)
    }
  }, [isOpen])

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
        aria-expanded={isOpen}
        aria-controls={isOpen ? id : undefined}
        aria-label={glyph && label}
        title={glyph && label}
        onClick={() => setOpen(!isOpen)}
      >
        {glyph ? <Glyph name={glyph} /> : label}
      </Button>
      {isOpen && (
        <div ref={list} id={id} role="menu" aria-label={label} className="menu" onKeyDown={onKey}>
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
