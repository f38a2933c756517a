/** The privacy notice, before the first sign-in (PIPL 17). Refusing leaves what is public usable. */

import { settings } from '../../services/settings'
import { store } from '../../services/store'
import { estate } from '../../services/trust'
import { fill } from '../../texts'
import { definePage, replaceWith } from '../../page'

definePage({
  title: (texts) => texts.privacy.title,
  sections: ['privacy'],
  data: { notice: '', version: 0, versionText: '', isAgreed: false },

  async load() {
    const { privacy } = await estate()
    this.setData({
      notice: settings().language === 'en' ? privacy.en : privacy.zh,
      version: privacy.version,
      versionText: fill(this.texts.privacy.version, { n: privacy.version }),
      isAgreed: store.read('privacy')?.version === privacy.version,
    })
  },

  agree() {
    store.write('privacy', { version: this.data.version, agreedMs: Date.now() })
    if (this.query['then'] === 'join') replaceWith('pages/join/index')
    else wx.navigateBack({})
  },

  refuse() {
    wx.showToast({ title: this.texts.privacy.refused, icon: 'none' })
    wx.navigateBack({})
  },
})
