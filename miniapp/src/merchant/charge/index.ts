/** Charging: an amount by thumb, a code to scan or type, and then what became of it. */

import { qrDataUrl } from '../../core/qr'
import { spaceCode } from '../../core/code'
import { api } from '../../services/api'
import type { MerchantOffer } from '../../services/api-types'
import { sentenceOfSettlement } from '../../services/faults'
import { watch } from '../../services/live'
import { AMOUNT_MAX, makeOffer, undoRedemption } from '../../services/points'
import { serverNow } from '../../services/records'
import { Till } from '../../services/till'
import { fill } from '../../texts'
import { formatNumber } from '../../texts/format'
import { shopText } from '../../texts/shops'
import { ask, definePage, go } from '../../page'

type Stage = 'amount' | 'waiting' | 'paid' | 'expired' | 'undone'

const KEYS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', 'clear', '0', 'erase']

/** Outlives the page: a code that was shown can be paid while the merchant looks at something else. */
const till = new Till()

definePage({
  title: (texts) => texts.charge.title,
  sections: ['charge', 'sales'],
  keeps: true,
  data: {
    stage: 'amount' as Stage,
    typed: '',
    keys: [] as { id: string; text: string; label: string }[],
    qr: '',
    alias: '',
    left: '',
    amountText: '',
    paidText: '',
    offer: '',
    shop: '',
    /** Codes shown before that can still be paid, in words; and what came in for one of them meanwhile. */
    earlier: [] as readonly string[],
    earlierPaid: '',
  },
  stopWatching: undefined as (() => void) | undefined,
  redeemed: undefined as MerchantOffer | undefined,

  load() {
    const { clear, digit, erase } = this.texts.charge
    const keys = KEYS.map((id) => ({
      id,
      text: id === 'clear' ? clear : id === 'erase' ? '\u232b' : id,
      label: id === 'clear' ? clear : id === 'erase' ? erase : fill(digit, { n: id }),
    }))
    this.setData({ keys })
    void this.showShop()
  },

  /** What a customer reads before he pays: without it he could not tell whose code he scans. */
  async showShop() {
    const shop = await api.ownShop().catch(() => null)
    if (shop) this.setData({ shop: shopText(shop.id, shop.name, this.texts) })
  },

  shown() {
    if (till.isWatching(serverNow())) this.start()
  },

  left() {
    this.stop()
  },

  press(event: TapEvent) {
    const key = String(event.currentTarget.dataset['key'])
    const { typed } = this.data
    const next = key === 'clear' ? '' : key === 'erase' ? typed.slice(0, -1) : typed + key
    if (next.length <= String(AMOUNT_MAX).length) this.setData({ typed: next.replace(/^0+/, ''), note: '' })
  },

  make() {
    const amount = Number(this.data.typed)
    if (!(amount >= 1 && amount <= AMOUNT_MAX)) {
      return this.setData({ note: fill(this.texts.charge.badAmount, { max: formatNumber(AMOUNT_MAX) }) })
    }
    return this.run(async () => {
      const made = await makeOffer(amount, fill(this.texts.charge.paid, { n: amount }))
      if (made.settlement.kind !== 'accepted') {
        return this.setData({ note: sentenceOfSettlement(made.settlement, this.texts) })
      }
      till.add({ offer: made.offer, amount, dueMs: made.dueMs })
      const amountText = formatNumber(amount)
      this.setData({
        stage: 'waiting',
        qr: qrDataUrl(made.code),
        alias: spaceCode(made.alias),
        offer: made.offer,
        earlierPaid: '',
        amountText,
        paidText: fill(this.texts.charge.paid, { n: amountText }),
      })
      this.start()
    })
  },

  start() {
    this.stop()
    this.tick()
    const timer = setInterval(() => this.tick(), 1_000)
    const stop = watch(['points.redeem'], () => void this.look())
    this.stopWatching = () => {
      clearInterval(timer)
      stop()
    }
  },

  stop() {
    this.stopWatching?.()
    this.stopWatching = undefined
  },

  tick() {
    const now = serverNow()
    const seconds = (dueMs: number) => Math.ceil((dueMs - now) / 1_000)
    const { charge } = this.texts
    const payable = till.payable(now)
    const shown = this.data.stage === 'waiting' ? payable.find((code) => code.offer === this.data.offer) : undefined
    const earlier = payable
      .filter((code) => code !== shown)
      .map((code) => fill(charge.earlier, { n: formatNumber(code.amount), seconds: seconds(code.dueMs) }))
    this.setData({ earlier, left: shown ? fill(charge.left, { n: seconds(shown.dueMs) }) : '' })
    if (this.data.stage === 'waiting' && !shown) this.setData({ stage: 'expired' })
    if (!till.isWatching(now)) this.stop()
  },

  async look() {
    const { items } = await api.merchantOffers().catch(() => ({ items: [] }))
    const paid = till.takePaid(items)
    if (!paid) return
    wx.vibrateShort({ type: 'heavy' })
    const amountText = formatNumber(paid.amount)
    const paidText = fill(this.texts.charge.paid, { n: amountText })
    // The code on the screen stays there: the next customer may be scanning it.
    if (this.data.stage === 'waiting' && paid.offer !== this.data.offer) return this.setData({ earlierPaid: paidText })
    this.redeemed = paid
    this.setData({ stage: 'paid', typed: '', amountText, paidText })
    this.tick()
  },

  undo() {
    const { charge, common, sales } = this.texts
    return this.run(async () => {
      const question = fill(sales.undoAsk, { n: this.data.amountText })
      if (!(await ask(charge.undo, question, charge.undo, common.cancel))) return
      const settlement = await undoRedemption(this.redeemed!, this.data.amountText)
      if (settlement.kind === 'accepted') this.setData({ stage: 'undone' })
      else this.setData({ note: sentenceOfSettlement(settlement, this.texts) })
    })
  },

  again() {
    this.setData({ stage: 'amount', typed: '', note: '', earlierPaid: '' })
    this.tick()
  },

  sales() {
    go('merchant/sales/index')
  },
})
