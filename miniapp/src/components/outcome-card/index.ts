/** What became of something that was signed: done, kept on the phone, refused, or not to be trusted; and its receipt. */

import { knownEstate } from '../../services/trust'
import { outcomeTitle, type OutcomeKind } from '../../texts/outcomes'
import type { Texts } from '../../texts'

/** A receipt that did not hold is neither a refusal nor a success: nobody knows, and that is said in red. */
const TONES: Record<OutcomeKind, string> = {
  accepted: 'accent',
  refused: '',
  waiting: '',
  distrusted: 'alarm',
  expired: 'warn',
}

Component({
  properties: { s: Object, kind: String, title: String, refused: String, text: String, hint: String, receipt: String },
  data: { heading: '', tone: '', receipt: '', phone: '' },
  observers: {
    's, kind, title, refused'(s: Texts['common'], kind: OutcomeKind, title: string, refused: string) {
      const heading = s?.settled ? outcomeTitle(kind, s, title || undefined, refused || undefined) : ''
      this.setData({ heading, tone: TONES[kind] ?? '', phone: knownEstate()?.phone ?? '' })
    },
  },
  methods: {
    callPerson() {
      wx.makePhoneCall({ phoneNumber: this.data.phone })
    },
    openReceipt() {
      wx.navigateTo({ url: '/pages/receipt/index?id=' + this.data.receipt })
    },
  },
})
