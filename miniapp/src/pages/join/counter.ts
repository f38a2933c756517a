/** In person: this phone shows a code, staff who saw the document name its owner, and the phone goes on by itself. */

import { spaceCode } from '../../core/code'
import { qrDataUrl } from '../../core/qr'
import type { NodeAddress } from '../../services/api-types'
import { ApiProblem } from '../../services/http'
import { vouchedFor } from '../../services/identity'
import { nodesInOrder } from '../../services/nodes'
import { askCounterCode, fetchCounterWord } from '../../services/proofs'
import { serverNow } from '../../services/records'
import { settings } from '../../services/settings'
import { fill } from '../../texts'
import { formatTime } from '../../texts/format'
import { definePage } from '../../page'

const POLL_MS = 2_500

definePage({
  title: (texts) => texts.join.counterTitle,
  sections: ['join'],
  keeps: true,
  data: {
    places: [] as { id: string; text: string }[],
    place: '',
    qr: '',
    code: '',
    until: '',
  },
  nodes: [] as readonly NodeAddress[],
  asked: '',
  timer: undefined as ReturnType<typeof setInterval> | undefined,

  async load() {
    const done = await vouchedFor()
    this.nodes = (await nodesInOrder()).filter((node) => !done.includes(node.id))
    this.setData({ places: this.nodes.map(({ id, name }) => ({ id, text: name })) })
  },

  choose(event: ValueEvent) {
    this.setData({ place: event.detail.value, note: '' })
  },

  begin() {
    const node = this.chosen()
    if (!node) return this.setData({ note: this.texts.join.counterNeed })
    return this.run(async () => {
      const { code, expires_ms } = await askCounterCode(node)
      this.asked = code
      const time = formatTime(settings().language, expires_ms, serverNow())
      const until = fill(this.texts.join.counterUntil, { time })
      this.setData({ qr: qrDataUrl(code), code: spaceCode(code), until })
      this.shown()
    })
  },

  chosen(): NodeAddress | undefined {
    return this.nodes.find((node) => node.id === this.data.place)
  },

  /** Asks as long as the page is in front. */
  shown() {
    clearInterval(this.timer)
    if (this.asked !== '') this.timer = setInterval(() => void this.poll(), POLL_MS)
  },

  left() {
    clearInterval(this.timer)
  },

  async poll() {
    const node = this.chosen()
    const { asked } = this
    if (!node || asked === '') return
    try {
      if ((await fetchCounterWord(node, asked)) && this.asked === asked) this.leave()
    } catch (error) {
      // A network that is gone for a moment is not worth a word: it is asked again.
      if (error instanceof ApiProblem && error.status === 404 && this.asked === asked) this.expire()
    }
  },

  leave() {
    this.asked = ''
    clearInterval(this.timer)
    wx.vibrateShort({ type: 'medium' })
    wx.navigateBack({})
  },

  expire() {
    this.asked = ''
    clearInterval(this.timer)
    this.setData({ code: '', qr: '', note: this.texts.join.counterEnded })
  },

  again() {
    this.asked = ''
    this.setData({ code: '', qr: '' })
    return this.begin()
  },
})
