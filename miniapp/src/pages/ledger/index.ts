/** Who keeps the records, whether they agree, and what this phone saw by itself. The red page when they do not. */

import { api } from '../../services/api'
import type { Cluster } from '../../services/api-types'
import { store } from '../../services/store'
import { doubt, seenCheckpoint } from '../../services/checkpoints'
import { compareNotice, type Comparison } from '../../services/notices'
import { call } from '../../services/platform'
import { meet, type EstateTrust } from '../../services/trust'
import { spaceCode } from '../../core/code'
import { fill, type Texts } from '../../texts'
import { formatNumber } from '../../texts/format'
import { definePage } from '../../page'

interface Lamp {
  readonly id: string
  readonly name: string
  readonly text: string
  readonly tone: 'good' | 'wait'
}

const FINGERPRINT_LENGTH = 16

definePage({
  title: (texts) => texts.ledger.title,
  sections: ['ledger'],
  data: { alarm: '', lamps: [] as Lamp[], size: '', sealed: '', fingerprint: '', compared: '', witness: '', doubt: '', isFork: false, compareText: '', isSame: false },

  async load() {
    const trust = store.read('trust') ?? (await meet())
    this.setData(trustData(trust, this.texts))
    if (!trust.alarm) this.setData(clusterData(await api.cluster(), this.texts))
  },

  async compare() {
    let result: string
    try {
      ;({ result } = await call(wx.scanCode, { scanType: ['qrCode'] as const }))
    } catch {
      return
    }
    await this.run(async () => {
      const comparison = await compareNotice(result)
      this.setData({ isSame: comparison === 'same', compareText: comparisonText(comparison, this.texts) })
    })
  },

  callPerson() {
    wx.makePhoneCall({ phoneNumber: this.data.helpPhone })
  },
})

function comparisonText(comparison: Comparison, { ledger }: Texts): string {
  const { compareDiffers: differs, compareOther: other, compareSame: same, compareUnproven: unproven } = ledger
  return { differs, other, same, unproven }[comparison]
}

function trustData(trust: EstateTrust, texts: Texts) {
  const values = { n: trust.compared.length, missing: trust.missing.length }
  const seen = seenCheckpoint()
  return {
    isFork: trust.alarm === 'fork',
    doubt: doubt() ? texts.ledger.doubt : '',
    alarm: trust.alarm === 'fork' ? texts.ledger.alarmFork : trust.alarm ? texts.ledger.alarmText : '',
    fingerprint: spaceCode(trust.estate.genesis_sha256.slice(0, FINGERPRINT_LENGTH).toUpperCase()),
    compared: fill(values.missing > 0 ? texts.ledger.partial : texts.ledger.compared, values),
    witness: seen ? fill(texts.ledger.witness, { n: formatNumber(seen.size) }) : '',
  }
}

function clusterData(cluster: Cluster, texts: Texts) {
  return {
    size: fill(texts.ledger.size, { n: formatNumber(cluster.size) }),
    sealed: fill(texts.ledger.sealed, { n: formatNumber(cluster.sealed_size) }),
    lamps: cluster.nodes.map(
      (node): Lamp => ({
        id: node.id,
        name: node.name,
        text: lampText(node, texts),
        tone: node.reachable && node.lag === 0 ? 'good' : 'wait',
      }),
    ),
  }
}

function lampText(node: Cluster['nodes'][number], texts: Texts): string {
  if (!node.reachable) return texts.ledger.unreachable
  return node.lag > 0 ? fill(texts.ledger.behind, { n: formatNumber(node.lag) }) : texts.ledger.reachable
}
