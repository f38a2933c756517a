/** One receipt: verified again by this phone every time it is opened. Green only when everything held. */

import { ReceiptError, type VerifiedReceipt } from '../../core/receipt'
import { spaceCode } from '../../core/code'
import { qrDataUrl } from '../../core/qr'
import { observe } from '../../services/checkpoints'
import { sentenceOfCode } from '../../services/faults'
import { call } from '../../services/platform'
import { barredIn, exportReceipt, openReceipt, upgradeReceipt, type OpenedReceipt } from '../../services/receipts'
import { serverNow } from '../../services/records'
import { settings } from '../../services/settings'
import { knownEstate } from '../../services/trust'
import { fill, type Texts } from '../../texts'
import { formatTime } from '../../texts/format'
import { kindText } from '../../texts/kinds'
import { definePage } from '../../page'

type Verdict = 'good' | 'refused' | 'bad' | 'missing'

definePage({
  title: (texts) => texts.receipt.title,
  sections: ['receipt'],
  keeps: true,
  data: {
    verdict: 'missing' as Verdict,
    why: '',
    what: '',
    when: '',
    number: '',
    grade: '',
    isSealed: false,
    owner: '',
    code: '',
    short: '',
    qr: '',
  },

  async load() {
    await this.check(openReceipt)
    if (this.data.verdict === 'good' && !this.data.isSealed) void this.check(upgradeReceipt).catch(() => undefined)
  },

  async check(read: (id: string) => Promise<OpenedReceipt | undefined>) {
    try {
      const opened = await read(this.query['id']!)
      if (!opened) return this.setData({ verdict: 'missing' })
      this.setData(this.describe(opened))
      await observe({ note: opened.receipt.checkpoint.note }).catch(() => undefined)
    } catch (error) {
      if (!(error instanceof ReceiptError)) throw error
      const fault = this.texts.receiptFault[error.fault]
      this.setData({ verdict: 'bad', why: fill(this.texts.receipt.fault, { fault }) })
    }
  },

  describe({ note, receipt }: OpenedReceipt) {
    const texts = this.texts.receipt
    const isAccepted = receipt.entry.outcome === 'accepted'
    const isSealed = receipt.grade !== 'committed'
    const short = note.code.split(',')[2]!.toUpperCase()
    return {
      verdict: (isAccepted ? 'good' : 'refused') as Verdict,
      why: isAccepted ? '' : sentenceOfCode(receipt.entry.outcome, '', this.texts),
      what: `${kindText(note.kind, this.texts)} · ${note.title}`,
      when: formatTime(settings().language, receipt.entry.time_ms, serverNow()),
      number: String(receipt.entry.index),
      grade: gradeText(receipt, this.texts),
      isSealed,
      owner: receipt.ownerChecked ? texts.owner : texts.ownerUnknown,
      code: note.code,
      short: spaceCode(short),
      qr: qrDataUrl(note.code),
    }
  },

  again() {
    return this.run(() => this.check(openReceipt))
  },

  callPerson() {
    wx.makePhoneCall({ phoneNumber: this.data.helpPhone })
  },

  export() {
    return this.run(() => exportReceipt(this.query['id']!))
  },

  copy() {
    return this.run(async () => {
      await call(wx.setClipboardData, { data: this.data.code })
      wx.showToast({ title: this.texts.receipt.copied, icon: 'success' })
    })
  },
})

function gradeText(receipt: VerifiedReceipt, { receipt: texts }: Texts): string {
  const barred = barredIn(receipt)
  if (barred.length === 0 || receipt.grade === 'committed') return texts[receipt.grade]
  const nameOf = (id: string) => knownEstate()?.nodes.find((node) => node.id === id)?.name ?? id
  return fill(texts.sealedWithout, { nodes: barred.map(nameOf).join('、') })
}
