/** Charging: an amount by thumb, a code to scan or type, and then what became of it. */

import { qrDataUrl } from '../../core/qr'
import { spaceCode } from '../../core/code'
import { api } from '../../services/api'
import type { MerchantOffer } from '../../services/api-types'
import { sentenceOfSettlement } from '../../services/faults'
import { watch } from '../../services/live'
import { AMOUNT_MAX, makeOffer, undoRedemption } from '../../services/points'
import { serverNow } from '../../services/records'
import { fill } from '../../texts'
import { formatNumber } from '../../texts/format'
import { definePage, go } from '../../page'

type Stage = 'amount' | 'waiting' | 'paid' | 'expired' | 'undone'

const KEYS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', 'clear', '0', 'erase']

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
  },
  dueMs: 0,
  timer: undefined as ReturnType<typeof setInterval> | undefined,
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
      this.dueMs = made.dueMs
      const amountText = formatNumber(amount)
      this.setData({
        stage: 'waiting',
        qr: qrDataUrl(made.code),
        alias: spaceCode(made.alias),
        offer: made.offer,
        amountText,
        paidText: fill(this.texts.charge.paid, { n: amountText }),
      })
      this.start()
    })
  },

  start() {
    this.tick()
    this.timer = setInterval(() => this.tick(), 1_000)
    this.stopWatching = watch(['points.redeem'], () => void this.look())
  },

  stop() {
    clearInterval(this.timer)
    this.stopWatching?.()
  },

  tick() {
    const seconds = Math.ceil((this.dueMs - serverNow()) / 1_000)
    if (seconds > 0) return this.setData({ left: fill(this.texts.charge.left, { n: seconds }) })
    this.finish('expired')
  },

  async look() {
    const { items } = await api.merchantOffers().catch(() => ({ items: [] }))
    const offer = items.find((one) => one.offer === this.data.offer)
    if (offer?.state === 'redeemed' && this.data.stage !== 'paid') {
      this.redeemed = offer
      wx.vibrateShort({ type: 'heavy' })
      this.finish('paid')
    }
  },

  finish(stage: Stage) {
    this.stop()
    this.setData({ stage, typed: '' })
  },

  undo() {
    return this.run(async () => {
      const settlement = await undoRedemption(this.redeemed!, this.data.amountText)
      if (settlement.kind === 'accepted') this.finish('undone')
      else this.setData({ note: sentenceOfSettlement(settlement, this.texts) })
    })
  },

  again() {
    this.finish('amount')
  },

  sales() {
    go('merchant/sales/index')
  },
})
