import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'
import { fakeController } from './fake/server.ts'

// The console is built into dist/console, where embed.go takes it from.
// CONTROLLER=https://127.0.0.1:8443 makes `npm run dev` talk to a real
// controller; without it a small fake fleet answers.
const controller = process.env.CONTROLLER

export default defineConfig({
  root: 'console',
  plugins: [react(), ...(controller || process.env.VITEST ? [] : [fakeController()])],
  server: controller ? { proxy: { '/api': { target: controller, secure: false, changeOrigin: true } } } : {},
  build: {
    outDir: '../dist/console',
    emptyOutDir: true,
    target: 'es2023',
    assetsInlineLimit: 0, // nothing inline: the policy forbids data: and inline scripts
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // Few chunks: the libraries, what screens share, and each screen. Small ones compress badly.
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: 'uplot', test: /node_modules.uplot/, priority: 3 },
            { name: 'libraries', test: /node_modules|vite.preload|rolldown.runtime/, priority: 2 },
            {
              name: 'shared',
              test: /console.(api|app|live|parts|text|alerts.(AlertLine|data)|operations.(BulkBar|data|kinds|Operate|OperationTable|Progress|SelectorDialog)\.)/,
              priority: 1,
            },
          ],
        },
      },
    },
  },
  test: {
    restoreMocks: true,
    testTimeout: 120_000, // other tests may have the processor
    hookTimeout: 60_000,
    projects: [
      { extends: true, test: { name: 'logic', include: ['**/*.test.ts'], environment: 'node' } },
      {
        extends: true,
        test: { name: 'screens', include: ['**/*.test.tsx'], environment: 'happy-dom', setupFiles: ['./setup.ts'] },
      },
    ],
  },
})
