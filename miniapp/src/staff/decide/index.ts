/** One motion before its close, as the committee sees it: sign it, or sign that it is extended or cancelled, and why. */

import type { JsonObject } from '../../core/canonical'
import { api } from '../../services/api'
import type { Motion, Waits } from '../../services/api-types'
import { isRehearsal } from '../../services/ballots'
import { sentenceOfSettlement } from '../../services/faults'
import type { Signatures } from '../../services/generated'
import { approveMotion, decide, type DecisionKind } from '../../services/motions'
import type { Settlement } from '../../services/outbox'
import { serverNow } from '../../services/records'
import { settings } from '../../services/settings'
import { fill, type Texts } from '../../texts'
import { choiceText } from '../../texts/choices'
import { dateText, formatTime, parseDate } from '../../texts/format'
import { ask, definePage } from '../../page'

const REASON_LENGTH_MAX = 500
const DAY_MS = 86_400_000

interface Decision {
  readonly at: number
  readonly text: string
  readonly reason: string
  readonly isMine: boolean
}

interface Asked {
  readonly id: string
  readonly text: string
  readonly choices: string
}

definePage({
  title: (texts) => texts.decide.title,
  sections: ['decide', 'motions'],
  keeps: true,
  data: {
    title: '',
    text: '',
    state: '',
    clause: '',
    isRehearsal: false,
    opensText: '',
    closesText: '',
    signed: '',
    isMine: false,
    maySign: false,
    mayExtend: false,
    questions: [] as Asked[],
    documents: [] as { photo: string; label: string }[],
    decisions: [] as Decision[],
    reason: '',
    reasonMax: REASON_LENGTH_MAX,
    until: '',
    untilHint: '',
    doneText: '',
  },
  motion: undefined as Motion | undefined,
  signatures: undefined as Signatures | undefined,

  async load() {
    const id = this.query['motion']!
    const [motion, signatures] = await Promise.all([api.motion(id), api.signatures(id)])
    const { approved_by, approved_by_me, members, needed } = signatures
    this.motion = motion
    this.signatures = signatures
    this.setData({
      title: motion.title,
      text: motion.text,
      clause: motion.clause,
      isRehearsal: isRehearsal(motion),
      state: stateText(motion, this.texts),
      opensText: timeText(this.texts.decide.opens, motion.opens_ms),
      closesText: timeText(this.texts.decide.closes, motion.close_ms),
      signed: fill(this.texts.decide.signed, { n: approved_by.length, needed, members }),
      isMine: approved_by_me,
      maySign: motion.state === 'proposed' && !approved_by_me,
      mayExtend: motion.closed_first_ms === 0 && (motion.state === 'announced' || motion.state === 'open'),
      questions: motion.questions.map((one) => ({
        id: one.id,
        text: one.text,
        choices: one.choices.map((choice) => choiceText(choice, this.texts)).join(' / '),
      })),
      documents: motion.documents.map((one) => ({ photo: one.photo, label: documentText(one.kind, this.texts) })),
      decisions: signatures.decisions.map((one, at) => decisionOf(one, at, this.texts)),
      untilHint: dateText(motion.close_ms + DAY_MS),
    })
  },

  typed(event: ValueEvent) {
    this.setData({ [event.currentTarget.dataset['field'] as 'reason' | 'until']: event.detail.value, note: '' })
  },

  sign() {
    const { common, decide: words } = this.texts
    return this.run(async () => {
      const question = fill(words.signAsk, { title: this.data.title, needed: this.signatures!.needed })
      if (await ask(words.sign, question, words.sign, common.cancel)) await this.settle(await approveMotion(this.motion!))
    })
  },

  agree(event: TapEvent) {
    const waiting = this.signatures!.decisions[Number(event.currentTarget.dataset['at'])]!
    const { common, decide: words } = this.texts
    return this.run(async () => {
      const question = decisionOf(waiting, 0, this.texts)
      if (!(await ask(words.sign, `${question.text}。${question.reason}`, words.sign, common.cancel))) return
      await this.settle(await decide(waiting.kind as DecisionKind, waiting.content as JsonObject, this.data.title))
    })
  },

  extend() {
    const { decide: words } = this.texts
    const closeMs = parseDate(this.data.until) ?? 0
    if (closeMs <= this.motion!.close_ms) return this.setData({ note: words.badUntil })
    return this.propose('motion.extend', { close_ms: closeMs })
  },

  cancel() {
    const { common, decide: words } = this.texts
    return this.run(async () => {
      if (this.data.reason.trim() === '') return this.setData({ note: words.needReason })
      if (await ask(words.cancel, words.cancelAsk, words.cancel, common.cancel)) await this.decideWith('motion.cancel', {})
    })
  },

  propose(kind: DecisionKind, more: JsonObject) {
    if (this.data.reason.trim() === '') return this.setData({ note: this.texts.decide.needReason })
    return this.run(() => this.decideWith(kind, more))
  },

  async decideWith(kind: DecisionKind, more: JsonObject): Promise<void> {
    const body = { ...more, motion: this.motion!.id, reason: this.data.reason.trim() }
    await this.settle(await decide(kind, body, this.data.title))
  },

  async settle(settlement: Settlement): Promise<void> {
    if (settlement.kind === 'refused') return this.setData({ note: sentenceOfSettlement(settlement, this.texts) })
    await this.load()
    const doneText = sentenceOfSettlement(settlement, this.texts) || this.texts.decide.done
    this.setData({ doneText, reason: '', until: '' })
  },
})

function timeText(text: string, timeMs: number): string {
  return fill(text, { time: formatTime(settings().language, timeMs, serverNow()) })
}

function stateText(motion: Motion, { motionState }: Texts): string {
  return (motionState as Record<string, string>)[motion.state] ?? ''
}

function documentText(kind: string, { documentKind }: Texts): string {
  return (documentKind as Record<string, string>)[kind] ?? ''
}

function decisionOf({ content, kind, signed_by_me }: Waits, at: number, { decision }: Texts): Decision {
  const text = (decision as Record<string, string>)[kind] ?? kind
  const until = typeof content['close_ms'] === 'number' ? content['close_ms'] : 0
  return { at, text: timeText(text, until), reason: String(content['reason'] ?? ''), isMine: signed_by_me }
}
