import './app/mantine.css'
import './app/base.css'
import './parts/parts.css'
import { QueryClient } from '@tanstack/react-query'
import { createRoot } from 'react-dom/client'
import { ProblemError } from './api/client'
import { App } from './app/App'
import { newRouter } from './app/routes'
import { startText } from './text/language'

// A refusal stays one however often it is asked; only what may pass is tried again.
const mayPass = (e: unknown) => !(e instanceof ProblemError) || e.status === 0 || e.status >= 500

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000, // the event stream keeps things fresh
      gcTime: 300_000,
      retry: (count, e) => count < 2 && mayPass(e),
      refetchOnWindowFocus: false,
    },
  },
})

const root = document.getElementById('console')
if (root) {
  try {
    await startText()
    createRoot(root).render(<App client={client} router={newRouter()} />)
  } catch {
    root.textContent = '控制台无法加载，请刷新页面。The console could not be loaded; reload the page.'
  }
}
