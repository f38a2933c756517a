/** At the counter: staff who saw a person's document vouch for the phone that shows the code (decisions 13). */

import { ALIAS_LENGTH, readCode } from '../../core/code'
import { ownOrganisation } from '../../services/offices'
import { officeApi } from '../../services/office-api'
import { call, PlatformError } from '../../services/platform'
import { fill } from '../../texts'
import { definePage } from '../../page'

const EMPTY = { member: '', name: '', code: '', isSeen: false, doneText: '', note: '' }

definePage({
  title: (texts) => texts.attest.title,
  sections: ['attest', 'finder', 'pay'],
  keeps: true,
  data: { organisation: '', ...EMPTY, codeMax: ALIAS_LENGTH + 1 },

  async load() {
    this.setData({ organisation: await ownOrganisation('staff', 'officer') })
  },

  person(event: { readonly detail: { readonly member: string; readonly name: string } }) {
    this.setData({ ...event.detail, note: '' })
  },

  typed(event: ValueEvent) {
    this.setData({ code: event.detail.value, note: '' })
  },

  async scan() {
    try {
      const { result } = await call(wx.scanCode, { scanType: ['qrCode'] as const })
      const code = readCode(result)
      this.setData(code?.length === ALIAS_LENGTH ? { code, note: '' } : { note: this.texts.pay.scanFailed })
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error
    }
  },

  see(event: ValueEvent<readonly string[]>) {
    this.setData({ isSeen: event.detail.value.includes('seen'), note: '' })
  },

  send() {
    const { isSeen, member, name, organisation } = this.data
    const { attest, finder } = this.texts
    const code = readCode(this.data.code)
    if (member === '') return this.setData({ note: finder.need })
    if (code?.length !== ALIAS_LENGTH) return this.setData({ note: attest.needCode })
    if (!isSeen) return this.setData({ note: attest.needSeen })
    return this.run(async () => {
      await officeApi.attestAtCounter(organisation, code, member)
      this.setData({ ...EMPTY, doneText: fill(attest.doneText, { name }) })
    })
  },

  another() {
    this.setData(EMPTY)
  },

  done() {
    wx.navigateBack({})
  },
})
