import { type ReactNode, useEffect } from 'react'

/** A screen's head and body; names the browser tab. */
export function Screen({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Mailfleet`
  }, [title])
  return (
    <>
      <header className="screen-head">
        <h1>{title}</h1>
        {aside && <div className="screen-aside">{aside}</div>}
      </header>
      {children}
    </>
  )
}

/** A part of a screen with a heading of its own. */
export function Section({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <section className="section">
      <header className="section-head">
        <h2>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  )
}
