/** Who keeps the records, whether they agree, and what this phone saw by itself. The red page when they do not. */

import type { Offence } from '../../core/evidence'
import {
  askAgreement,
  exportAccusation,
  isKnown,
  isOfRetiredKey,
  type Accusation,
  type Agreement,
} from '../../services/agreement'
import { api } from '../../services/api'
import type { Cluster } from '../../services/api-types'
import { store } from '../../services/store'
import { doubt, seenCheckpoint } from '../../services/checkpoints'
import { compareNotice, type Comparison } from '../../services/notices'
import { call } from '../../services/platform'
import { splits } from '../../services/splits'
import { knownEstate, meet, TrustAlarm, type EstateTrust } from '../../services/trust'
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

interface Verdict {
  readonly text: string
  readonly hint: string
  readonly icon: 'good' | 'wait' | 'error'
  readonly tone: 'accent' | 'warn' | ''
}

/** What one organisation is shown to have done, in words. */
interface Card {
  readonly id: string
  readonly title: string
  readonly lines: readonly string[]
  readonly source: string
}

const FINGERPRINT_LENGTH = 16
const VERDICTS = {
  all: { icon: 'good', tone: 'accent' },
  some: { icon: 'good', tone: '' },
  split: { icon: 'error', tone: 'warn' },
  unknown: { icon: 'wait', tone: '' },
} as const

let accusations: readonly Accusation[] = []

definePage({
  title: (texts) => texts.ledger.title,
  sections: ['ledger', 'agreement'],
  data: {
    alarm: '',
    lamps: [] as Lamp[],
    size: '',
    sealed: '',
    fingerprint: '',
    compared: '',
    witness: '',
    doubt: '',
    isFork: false,
    hasSplit: false,
    verdict: null as Verdict | null,
    cards: [] as Card[],
    compareText: '',
    isSame: false,
  },

  async load() {
    const trust = store.read('trust') ?? (await meet())
    this.setData(trustData(trust, this.texts))
    if (trust.alarm) return
    this.setData(clusterData(await api.cluster(), this.texts))
    void this.look()
  },

  /** Asks everybody, the slowest too: the rest of the page does not wait for that. */
  async look() {
    try {
      const agreement = await askAgreement()
      accusations = agreement.accusations
      this.setData(agreementData(agreement, this.texts))
    } catch (error) {
      const trust = store.read('trust')
      // Without network the page goes on saying that it is still checking.
      if (error instanceof TrustAlarm && trust) this.setData(trustData(trust, this.texts))
    }
  },

  export(event: TapEvent) {
    const chosen = accusations.find((one) => one.id === event.currentTarget.dataset['id'])
    return this.run(async () => {
      if (chosen) await exportAccusation(chosen)
    })
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
    hasSplit: splits().length > 0,
    verdict: { ...VERDICTS.unknown, text: texts.agreement.checking, hint: '' },
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

function agreementData({ accusations: found, missing, signed, state }: Agreement, texts: Texts) {
  const words = texts.agreement
  const values = { n: countText(signed.length, words.counts), names: namesOf(missing, texts) }
  const text = { all: words.all, some: words.some, split: words.split, unknown: words.checking }[state]
  const hint = { all: words.allHint, some: words.someHint, split: splitHint(found, texts), unknown: words.checkingHint }[state]
  const doubtText = doubt() ? texts.ledger.doubt : ''
  const verdict: Verdict = { ...VERDICTS[state], text: fill(text, values), hint }
  return { verdict, cards: found.map((one) => cardOf(one, texts)), doubt: doubtText, hasSplit: splits().length > 0 }
}

const splitHint = (found: readonly Accusation[], { agreement }: Texts): string =>
  found.some((one) => isKnown(one) && !isOfRetiredKey(one)) ? agreement.splitHint : agreement.splitOwn

/** Small numbers are words in a sentence. */
const countText = (n: number, counts: string): string => counts.split(' ')[n] ?? String(n)

function namesOf(ids: readonly string[], { agreement }: Texts): string {
  const nodes = knownEstate()?.nodes ?? []
  return ids.map((id) => nodes.find((node) => node.id === id)?.name ?? id).join(agreement.and)
}

function cardOf(accusation: Accusation, texts: Texts): Card {
  const { height, id, isProven, member, offence, saidBy } = accusation
  const words = texts.agreement
  const values = { name: namesOf([member], texts), names: namesOf(saidBy, texts), n: formatNumber(height) }
  const isSure = isKnown(accusation)
  const named = fill(height > 0 ? words.named : words.unnamed, values)
  const source = isProven ? words.proven : fill(words.said, values)
  if (isOfRetiredKey(accusation)) {
    const lines = [words.retiredKeyText, named, words.retiredKeyHarmless]
    return { id, title: fill(words.retiredKey, values), lines, source }
  }
  return {
    id,
    title: fill(isSure ? words.accused : words.accusedBy, values),
    lines: [offenceText(offence, texts), named, isSure ? words.discounted : words.discountedIf],
    source,
  }
}

function offenceText(offence: Offence, { agreement }: Texts): string {
  const { doubleNewView, doubleVote, hiddenVote, retiredKeyText, splitCheckpoint } = agreement
  return {
    double_vote: doubleVote,
    double_new_view: doubleNewView,
    hidden_vote: hiddenVote,
    retired_key: retiredKeyText,
    split_checkpoint: splitCheckpoint,
  }[offence]
}
