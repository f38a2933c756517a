/** What this shop took, with the way to give points back within ten minutes. */

import { api } from '../../services/api'
import type { MerchantOffer } from '../../services/api-types'
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
  items: [] as readonly MerchantOffer[],

  async load() {
    const { items } = await api.merchantOffers()
    this.items = items
    const total = items.filter((one) => one.state === 'redeemed').reduce((sum, one) => sum + one.amount, 0)
    this.setData({
      rows: items.map((one) => rowOf(one, this.texts)),
      total: formatNumber(total),
      isEmpty: items.length === 0,
    })
  },

  undo(event: TapEvent) {
    const offer = this.items.find((one) => one.offer === event.currentTarget.dataset['offer'])
    if (!offer) return undefined
    const amount = formatNumber(offer.amount)
    const { charge, common, sales } = this.texts
    return this.run(async () => {
      if (!(await ask(charge.undo, fill(sales.undoAsk, { n: amount }), charge.undo, common.cancel))) return
      const settlement = await undoRedemption(offer, amount)
      this.setData({ note: sentenceOfSettlement(settlement, this.texts) })
      if (settlement.kind === 'accepted') await this.reload()
    })
  },
})

function rowOf(offer: MerchantOffer, texts: Texts): Row {
  const state = effectiveState(offer)
  const words = {
    open: texts.sales.open,
    redeemed: texts.sales.paid,
    undone: texts.sales.undone,
    expired: texts.sales.expired,
  }
  const tones = { open: 'wait', redeemed: 'good', undone: 'bad', expired: '' }
  const atMs = offer.redeemed_ms || offer.made_ms
  return {
    offer: offer.offer,
    amount: formatNumber(offer.amount),
    when: formatTime(settings().language, atMs, serverNow()),
    state: words[state],
    tone: tones[state],
    mayUndo: state === 'redeemed' && serverNow() - offer.redeemed_ms < UNDO_MS,
  }
}

function effectiveState(offer: MerchantOffer): MerchantOffer['state'] {
  return offer.state === 'open' && offer.due_ms < serverNow() ? 'expired' : offer.state
}
