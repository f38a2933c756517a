/** Starts the mini-program in a browser: `wx` first, then the app, its pages, and the page the address names. */

import { startApp } from 'virtual:linli'
import { forwardEvents } from './events'
import { registerAll } from './pages'
import { navigateBack, start } from './router'
import { mountShell, shell } from './shell'
import { wechat } from './wx'
import { mountToast } from './wx/dialogs'

interface AppOptions {
  onLaunch?(): void
  onShow?(): void
}

const host = globalThis as unknown as { wx: Wechat; App: (options: AppOptions) => void }
let app: AppOptions = {}
host.wx = wechat
host.App = (options) => {
  app = options
}

mountShell(() => navigateBack(1))
mountToast()
forwardEvents(shell.main)
startApp()
registerAll()
app.onLaunch?.()
start()
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') app.onShow?.()
})
