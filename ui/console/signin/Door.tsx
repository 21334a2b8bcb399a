import { type ReactNode, useEffect } from 'react'
import { LanguageSwitch, SchemeSwitch } from '../app/Person'
import { Logo } from '../parts/Glyph'
import './signin.css'

/** The card that stands before the console. */
export function Door({ title, text, children }: { title: string; text: string; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Mailfleet`
  }, [title])
  return (
    <main className="signin">
      <div className="signin-card">
        <h1>
          <Logo />
          Mailfleet
        </h1>
        <p className="dim">{text}</p>
        {children}
        <div className="signin-foot">
          <LanguageSwitch />
          <SchemeSwitch />
        </div>
      </div>
    </main>
  )
}
