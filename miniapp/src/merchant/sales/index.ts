/** What this shop took, with the way to give points back within ten minutes. */

import { api } from '../../services/api'
import type { MerchantOffer, OfferState } from '../../services/api-types'
import { sentenceOfSettlement } from '../../services/faults'
import { UNDO_MS, undoRedemption } from '../../services/points'
import { serverNow } from '../../services/records'
import { settings } from '../../services/settings'
import { fill, type Texts } from '../../texts'
import { formatNumber, formatTime } from '../../texts/format'
import { ask, definePage } from '../../page'

interface Row {
  readonly offer: string
  readonly amount: string
  readonly when: string
  readonly state: string
  readonly tone: string
  readonly mayUndo: boolean
}

definePage({
  title: (texts) => texts.sales.title,
  sections: ['sales', 'charge'],
  data: { rows: [] as Row[], total: '', isEmpty: false },

  async load() {
    const { items } = await api.merchantOffers()
    const total = items.filter((one) => one.state === 'redeemed').reduce((sum, one) => sum + one.amount, 0)
    this.setData({ rows: items.map((one) => rowOf(one, this.texts)), total: formatNumber(total), isEmpty: items.length === 0 })
  },

  undo(event: TapEvent) {
    const offer = String(event.currentTarget.dataset['offer'])
    const amount = String(event.currentTarget.dataset['amount'])
    const { charge, common, sales } = this.texts
    return this.run(async () => {
      if (!(await ask(charge.undo, fill(sales.undoAsk, { n: amount }), charge.undo, common.cancel))) return
      const settlement = await undoRedemption(offer, amount)
      this.setData({ note: sentenceOfSettlement(settlement, this.texts) })
      await this.reload()
    })
  },
})

function rowOf(offer: MerchantOffer, texts: Texts): Row {
  const state = effectiveState(offer)
  const words = { open: texts.sales.open, redeemed: texts.sales.paid, undone: texts.sales.undone, expired: texts.sales.expired }
  const tones = { open: 'wait', redeemed: 'good', undone: 'bad', expired: '' }
  const atMs = offer.redeemed_ms ?? offer.due_ms
  return {
    offer: offer.offer,
    amount: formatNumber(offer.amount),
    when: formatTime(settings().language, atMs, serverNow()),
    state: words[state],
    tone: tones[state],
    mayUndo: state === 'redeemed' && offer.redeemed_ms !== undefined && serverNow() - offer.redeemed_ms < UNDO_MS,
  }
}

function effectiveState(offer: MerchantOffer): OfferState {
  return offer.state === 'open' && offer.due_ms < serverNow() ? 'expired' : offer.state
}
