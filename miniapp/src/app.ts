/** Starts the app: display settings, what waits in the outbox, a look at the ledger's newest checkpoint; and again whenever the network comes back. */

import { contact } from './services/checkpoints'
import { refreshGrades } from './services/grades'
import { outbox } from './services/records'
import { showSettings } from './services/settings'

const resume = (): void => {
  outbox.resume().catch(() => undefined)
  contact()
    .then(refreshGrades)
    .catch(() => undefined)
}

App({
  onLaunch() {
    showSettings()
    resume()
    wx.onNetworkStatusChange(({ isConnected }) => isConnected && resume())
  },
  onShow: resume,
})
