/** Starts the app: display settings, what waits in the outbox, and again whenever the network comes back. */

import { outbox } from './services/records'
import { showSettings } from './services/settings'

const resume = (): void => void outbox.resume().catch(() => undefined)

App({
  onLaunch() {
    showSettings()
    resume()
    wx.onNetworkStatusChange(({ isConnected }) => isConnected && resume())
  },
  onShow: resume,
})
