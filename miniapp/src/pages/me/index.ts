/** The person: homes, phones, settings, and a person to call. */

import { isMember, whoAmI } from '../../services/identity'
import { store } from '../../services/store'
import { estate } from '../../services/trust'
import { formatArea } from '../../texts/format'
import { fill } from '../../texts'
import { definePage } from '../../page'

definePage({
  title: (texts) => texts.me.title,
  sections: ['me', 'vote'],
  data: { name: '', isMember: false, homes: [] as { id: string; label: string; area: string }[] },

  async load() {
    await estate()
    this.setData({ name: store.read('member')?.name ?? '', isMember: isMember() })
    if (isMember()) void this.showHomes()
  },

  async showHomes() {
    const session = await whoAmI().catch(() => undefined)
    const homes = (session?.units ?? []).map((unit) => ({
      id: unit.id,
      label: unit.label,
      area: fill(this.texts.vote.area, { area: formatArea(unit.area_cm2) }),
    }))
    this.setData({ homes, name: session?.name ?? this.data.name })
  },

  callPerson() {
    wx.makePhoneCall({ phoneNumber: this.data.helpPhone })
  },
})
