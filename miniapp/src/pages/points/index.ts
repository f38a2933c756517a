/** The wallet: balance, the two ways to pay, and every entry with where it came from. */

import { readCode } from '../../core/code'
import { api } from '../../services/api'
import type { PointsEntry } from '../../services/api-types'
import { isMember } from '../../services/identity'
import { call } from '../../services/platform'
import { serverNow } from '../../services/records'
import { settings } from '../../services/settings'
import type { Texts } from '../../texts'
import { formatNumber, formatTime } from '../../texts/format'
import { shopText } from '../../texts/shops'
import { definePage, go, replaceWith } from '../../page'

interface Row {
  readonly id: string
  readonly title: string
  readonly hint: string
  readonly amount: string
  readonly isIn: boolean
}

definePage({
  title: (texts) => texts.points.title,
  sections: ['points', 'pay'],
  data: { balance: '', rows: [] as Row[] },

  async load() {
    if (!isMember()) return replaceWith('pages/join/index')
    const account = await api.account()
    this.setData({
      balance: formatNumber(account.balance),
      rows: account.entries.map((entry) => rowOf(entry, this.texts)),
    })
  },

  async scan() {
    let result: string
    try {
      ;({ result } = await call(wx.scanCode, { scanType: ['qrCode'] as const }))
    } catch {
      return
    }
    const code = readCode(result)
    if (code === null) return this.setData({ note: this.texts.pay.badCode })
    go('pages/pay/index', { code })
  },

  type() {
    go('pages/pay/index')
  },
})

/** The ledger names accounts: `issuer/volunteer`, or `merchant/` and the pseudonym of who keeps the shop. */
function withWhom({ counterpart, shop }: PointsEntry, texts: Texts): string {
  const [owner, id] = counterpart.split('/') as [string, string | undefined]
  return owner === 'merchant' ? shopText(id ?? '', shop, texts) : texts.points.community
}

function whatHappened({ amount, kind }: PointsEntry, texts: Texts): string {
  if (kind === 'redemption.undo') return amount > 0 ? texts.points.returned : texts.points.takenBack
  return amount > 0 ? texts.points.earned : texts.points.spent
}

function rowOf(entry: PointsEntry, texts: Texts): Row {
  const isIn = entry.amount > 0
  const at = formatTime(settings().language, entry.at_ms, serverNow())
  return {
    id: entry.record + entry.kind,
    title: withWhom(entry, texts),
    hint: [whatHappened(entry, texts), entry.reason, at].filter((part) => part !== '').join(' · '),
    amount: (isIn ? '+' : '\u2212') + formatNumber(Math.abs(entry.amount)),
    isIn,
  }
}
