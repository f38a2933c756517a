/** The red page: two histories are proven. What to do, in words anybody understands, and the proof to give away. */

import { qrDataUrl } from '../../core/qr'
import { verifySplit } from '../../core/split'
import { parsePolicy } from '../../core/policy'
import { serverNow } from '../../services/records'
import { settings } from '../../services/settings'
import {
  exportSplits,
  isSettled,
  resolvedForks,
  sendSplits,
  settleFork,
  splitCode,
  splits,
  type KeptSplit,
} from '../../services/splits'
import type { Fork } from '../../services/generated'
import { knownEstate } from '../../services/trust'
import { fill, type Texts } from '../../texts'
import { formatTime } from '../../texts/format'
import { definePage } from '../../page'

/** A fork that was resolved, in words. */
interface ForkCard {
  readonly id: string
  readonly lines: readonly string[]
}

definePage({
  title: (texts) => texts.evidence.title,
  sections: ['evidence'],
  data: { isFound: false, kept: '', signers: '', sent: '', isSent: false, qr: '', isCalm: true, forks: [] as ForkCard[] },

  load() {
    this.list()
    // Operators may have kept one of the two histories meanwhile.
    void settleFork()
      .then(() => this.list())
      .catch(() => undefined)
    void resolvedForks().then((found) => this.setData({ forks: found.map((one) => cardOf(one, this.texts)) }))
    // What was away when it was found may be there now.
    void sendSplits()
      .then(() => this.list())
      .catch(() => undefined)
  },

  list() {
    const newest = splits()[splits().length - 1]
    const isCalm = isSettled()
    this.setData(newest ? { isFound: true, isCalm, ...describe(newest, this.texts) } : { isFound: false, isCalm })
  },

  send() {
    return this.run(async () => {
      await sendSplits()
      this.list()
    })
  },

  export() {
    return this.run(exportSplits)
  },

  callPerson() {
    wx.makePhoneCall({ phoneNumber: this.data.helpPhone })
  },
})

function describe(split: KeptSplit, texts: Texts) {
  const estate = knownEstate()
  const nodes = estate?.nodes ?? []
  const name = (id: string) => nodes.find((node) => node.id === id)?.name ?? id
  const list = (ids: readonly string[]) => ids.map(name).join(texts.evidence.and)
  const left = nodes.map((node) => node.id).filter((id) => !split.sent.includes(id))
  const signers = estate ? verifySplit(split, parsePolicy(estate.policy)) : []
  const received = split.sent.length > 0 ? fill(texts.evidence.sent, { names: list(split.sent) }) : ''
  const waiting = left.length > 0 ? fill(texts.evidence.left, { names: list(left) }) : ''
  return {
    kept: fill(texts.evidence.kept, { time: formatTime(settings().language, split.foundMs, serverNow()) }),
    signers: fill(texts.evidence.signers, { names: list(signers) }),
    sent: [received, waiting].filter((text) => text !== '').join(' '),
    isSent: left.length === 0,
    qr: qrDataUrl(splitCode(split)),
  }
}

function cardOf(fork: Fork, { evidence }: Texts): ForkCard {
  const list = (members: Fork['culprits']) => members.map((one) => one.name).join(evidence.and)
  const time = formatTime(settings().language, fork.time_ms, serverNow())
  const values = { n: fork.records, first: fork.fork_size + 1, kept: list(fork.kept_by), names: list(fork.culprits), time }
  return {
    id: String(fork.epoch),
    lines: [evidence.forkText, evidence.forkCulprits, evidence.forkRecords].map((text) => fill(text, values)),
  }
}
