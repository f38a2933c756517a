/** Tools that stand at the same place on every page: read aloud, call a person, and on some pages the elder mode. */

import type { Texts } from '../../texts'
import { changeSettings, setElder, settings } from '../../services/settings'
import { knownEstate } from '../../services/trust'

Component({
  properties: { s: Object, mode: String, switches: Boolean },
  data: { phone: '' },
  lifetimes: {
    attached() {
      this.setData({ phone: knownEstate()?.phone ?? '' })
    },
  },
  observers: {
    // The estate is known only after a first page was loaded.
    's, mode'() {
      const phone = knownEstate()?.phone ?? ''
      if (phone !== this.data.phone) this.setData({ phone })
    },
  },
  methods: {
    speak() {
      const isSpoken = wx.linli?.speakPage(settings().language) ?? false
      const texts = this.data['s'] as Texts['common']
      if (!isSpoken) wx.showModal({ title: texts.readAloud, content: texts.speakHelp, showCancel: false })
    },
    callPerson() {
      if (this.data.phone !== '') wx.makePhoneCall({ phoneNumber: this.data.phone })
    },
    switchMode() {
      setElder(!settings().elder)
      this.triggerEvent('redress', {}, {})
    },
    switchLanguage() {
      changeSettings({ language: settings().language === 'en' ? 'zh-CN' : 'en' })
      this.triggerEvent('redress', {}, {})
    },
  },
})
