/** Paying: merchant, amount and what remains in large type, then one button signed by this phone. */

import { ALIAS_LENGTH, readCode } from '../../core/code'
import { api } from '../../services/api'
import type { Offer } from '../../services/api-types'
import { sentenceOfSettlement } from '../../services/faults'
import { ApiProblem } from '../../services/http'
import { isMember } from '../../services/identity'
import type { Settlement } from '../../services/outbox'
import { redeem } from '../../services/points'
import { serverNow } from '../../services/records'
import { fill } from '../../texts'
import { formatNumber } from '../../texts/format'
import { outcomeTitle } from '../../texts/outcomes'
import { shopText } from '../../texts/shops'
import { definePage, replaceWith } from '../../page'

definePage({
  title: (texts, { outcome }) => (outcome ? outcomeTitle(outcome, texts.common, texts.pay.done) : texts.pay.title),
  sections: ['pay'],
  keeps: true,
  data: {
    typed: '',
    shop: '',
    amount: '',
    left: '',
    isEnough: false,
    confirmText: '',
    timeLeft: '',
    hasOffer: false,
    codeMax: ALIAS_LENGTH + 1,
    outcome: '' as '' | Settlement['kind'],
    outcomeText: '',
    receipt: '',
  },
  offer: undefined as Offer | undefined,
  timer: undefined as ReturnType<typeof setInterval> | undefined,

  async load() {
    if (!isMember()) return replaceWith('pages/join/index')
    const code = this.query['code']
    if (code !== undefined) await this.find(code)
  },

  left() {
    clearInterval(this.timer)
  },

  type(event: ValueEvent) {
    this.setData({ typed: event.detail.value, note: '' })
  },

  check() {
    const code = readCode(this.data.typed)
    if (code === null) return this.setData({ note: this.texts.pay.badCode })
    return this.run(() => this.find(code))
  },

  async find(code: string) {
    const texts = this.texts.pay
    const [offer, account] = await Promise.all([this.lookUp(code), api.account()])
    if (offer === null) return this.setData({ note: texts.badCode })
    if (offer.state !== 'open') return this.setData({ note: offer.state === 'expired' ? texts.expired : texts.used })
    const left = account.balance - offer.amount
    this.offer = offer
    this.setData({
      hasOffer: true,
      shop: shopText(offer.shop.id, offer.shop.name, this.texts),
      amount: formatNumber(offer.amount),
      isEnough: left >= 0,
      left: left >= 0 ? fill(texts.left, { n: formatNumber(left) }) : fill(texts.notEnough, { n: formatNumber(-left) }),
      confirmText: fill(texts.confirm, { n: formatNumber(offer.amount) }),
      note: '',
    })
    this.tick()
    this.timer = setInterval(() => this.tick(), 1_000)
  },

  async lookUp(code: string): Promise<Offer | null> {
    try {
      return await api.offer(code)
    } catch (error) {
      if (error instanceof ApiProblem && error.status === 404) return null
      throw error
    }
  },

  tick() {
    const seconds = Math.ceil((this.offer!.due_ms - serverNow()) / 1_000)
    if (seconds > 0) return this.setData({ timeLeft: fill(this.texts.pay.timeLeft, { n: seconds }) })
    clearInterval(this.timer)
    if (this.data.outcome === '') this.setData({ hasOffer: false, note: this.texts.pay.expired })
  },

  pay() {
    return this.run(async () => {
      const settlement = await redeem(this.offer!, this.data.shop)
      clearInterval(this.timer)
      const outcomeText = sentenceOfSettlement(settlement, this.texts) || this.texts.common.recorded
      this.setData({ outcome: settlement.kind, outcomeText, receipt: settlement.id })
      this.retitle()
      if (settlement.kind === 'accepted') wx.vibrateShort({ type: 'medium' })
    })
  },

  done() {
    wx.navigateBack({})
  },
})
