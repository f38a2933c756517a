/** A sheet for the notice board: the newest checkpoint as three lines and a code, for an A4 page in each building. */

import { qrDataUrl } from '../../core/qr'
import { newestNotice } from '../../services/notices'
import { call } from '../../services/platform'
import { serverNow } from '../../services/records'
import { settings } from '../../services/settings'
import { estate } from '../../services/trust'
import { spaceCode } from '../../core/code'
import { fill } from '../../texts'
import { formatDay, formatNumber } from '../../texts/format'
import { definePage } from '../../page'

const FINGERPRINT_LENGTH = 16

definePage({
  title: (texts) => texts.notice.title,
  sections: ['notice'],
  keeps: true,
  data: {
    name: '',
    day: '',
    size: '',
    signers: '',
    lines: [] as readonly string[],
    fingerprint: '',
    qr: '',
    canPrint: wx.linli !== undefined,
  },

  async load() {
    const { name, nodes, genesis_sha256 } = await estate()
    const { lines, signers, size } = await newestNotice()
    const names = nodes.filter((node) => signers.includes(node.id)).map((node) => node.name)
    this.setData({
      name,
      lines,
      day: formatDay(settings().language, serverNow()),
      size: fill(this.texts.notice.size, { n: formatNumber(size) }),
      signers: fill(this.texts.notice.signers, { names: names.join(this.texts.notice.and) }),
      fingerprint: spaceCode(genesis_sha256.slice(0, FINGERPRINT_LENGTH).toUpperCase()),
      qr: qrDataUrl(lines.join('\n')),
    })
  },

  print() {
    wx.linli?.print()
  },

  copy() {
    return this.run(async () => {
      await call(wx.setClipboardData, { data: this.data.lines.join('\n') })
      wx.showToast({ title: this.texts.notice.copied, icon: 'success' })
    })
  },
})
