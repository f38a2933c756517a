/** Tools that stand at the same place on every page: read aloud, call a person, and on some pages the elder mode. */

import type { Texts } from '../../texts'
import { changeSettings, setElder, settings } from '../../services/settings'

Component({
  properties: { s: Object, mode: String, phone: String, switches: Boolean },
  data: { phone: '' },
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
