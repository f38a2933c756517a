/** A member of the committee proposes a motion. The matter decides the majority; nobody types a threshold. */

import { api } from '../../services/api'
import type { Matter, RollView } from '../../services/api-types'
import { sentenceOfSettlement } from '../../services/faults'
import {
  earliestOpening,
  faultInForm,
  OPTIONS_LENGTH_MAX,
  proposeMotion,
  QUESTION_LENGTH_MAX,
  TEXT_LENGTH_MAX,
  TITLE_LENGTH_MAX,
  type FormFault,
  type MotionForm,
  type QuestionForm,
} from '../../services/motions'
import type { Settlement } from '../../services/outbox'
import { serverNow } from '../../services/records'
import { settings } from '../../services/settings'
import { fill, type Texts } from '../../texts'
import { dateText, formatArea, formatNumber, formatTime, parseDate } from '../../texts/format'
import { outcomeTitle } from '../../texts/outcomes'
import { definePage } from '../../page'

const QUESTIONS_MAX = 10

interface Row extends QuestionForm {
  readonly label: string
}

definePage({
  title: (texts, { outcome }) =>
    outcome ? outcomeTitle(outcome, texts.common, texts.motionForm.done) : texts.motionForm.title,
  sections: ['motionForm'],
  keeps: true,
  data: {
    title: '',
    text: '',
    matter: '',
    clause: '',
    opens: '',
    opensHint: '',
    noticeDays: 0,
    needsProcedure: false,
    closes: '',
    roll: '',
    rolls: [] as { id: string; text: string }[],
    titleMax: TITLE_LENGTH_MAX,
    textMax: TEXT_LENGTH_MAX,
    questionMax: QUESTION_LENGTH_MAX,
    optionsMax: OPTIONS_LENGTH_MAX,
    packs: [] as { id: string; text: string }[],
    pack: '',
    matters: [] as readonly Matter[],
    questions: [] as Row[],
    hasOptions: false,
    isElection: false,
    seats: '',
    mayAdd: true,
    outcome: '' as '' | Settlement['kind'],
    outcomeText: '',
    receipt: '',
  },

  all: [] as readonly Matter[],

  async load() {
    const [{ items }, rolls] = await Promise.all([api.matters(), api.rolls()])
    this.showRolls(rolls.items)
    this.all = items
    const packs = [...new Set(items.map((one) => one.rule_pack))]
    this.setData({ packs: packs.map((id) => ({ id, text: packText(id, this.texts) })) })
    // The most specific rules come last and hold unless the committee says otherwise.
    this.showPack(this.data.pack || packs[packs.length - 1]!)
    this.setQuestions(this.data.questions.length > 0 ? this.data.questions : [{ text: '', options: '' }])
  },

  /** A motion is put to the owners as the newest roll has them, unless the committee says otherwise. */
  showRolls(rolls: readonly RollView[]) {
    const shown = rolls.map((roll) => ({ id: roll.id, text: rollText(roll, this.texts) }))
    const isKept = shown.some((roll) => roll.id === this.data.roll)
    this.setData({ rolls: shown, roll: isKept ? this.data.roll : (shown[0]?.id ?? '') })
  },

  chooseRoll(event: ValueEvent) {
    this.setData({ roll: event.detail.value, note: '' })
  },

  showPack(pack: string) {
    const matters = this.all.filter((one) => one.rule_pack === pack)
    const { needs_procedure = false, notice_days = 0 } = matters[0] ?? {}
    this.setData({
      pack,
      matters,
      noticeDays: notice_days,
      needsProcedure: needs_procedure,
      opensHint: this.noticeText(notice_days),
      matter: '',
      clause: '',
      hasOptions: false,
      isElection: false,
    })
  },

  noticeText(days: number): string {
    const { opensHint, opensNow } = this.texts.motionForm
    return days === 0 ? opensNow : fill(opensHint, { days, date: dateText(earliestOpening(days, serverNow())) })
  },

  choosePack(event: ValueEvent) {
    this.showPack(event.detail.value)
  },

  setQuestions(questions: readonly QuestionForm[]) {
    const rows = questions.map(({ text, options }, at) => ({
      text,
      options,
      label: fill(this.texts.motionForm.question, { n: at + 1 }),
    }))
    this.setData({ questions: rows, mayAdd: rows.length < QUESTIONS_MAX, note: '' })
  },

  typed(event: ValueEvent) {
    this.setData({
      [event.currentTarget.dataset['field'] as 'title' | 'text' | 'opens' | 'closes' | 'seats']: event.detail.value,
      note: '',
    })
  },

  chooseMatter(event: ValueEvent) {
    const matter = this.data.matters.find((one) => one.id === event.detail.value)
    this.setData({
      matter: event.detail.value,
      clause: matter?.clause ?? '',
      hasOptions: (matter?.free_choices ?? false) || (matter?.is_election ?? false),
      isElection: matter?.is_election ?? false,
      note: '',
    })
  },

  typedQuestion(event: ValueEvent) {
    const { at, field } = event.currentTarget.dataset
    this.setQuestions(
      this.data.questions.map((one, index) =>
        index === Number(at) ? { ...one, [String(field)]: event.detail.value } : one,
      ),
    )
  },

  addQuestion() {
    this.setQuestions([...this.data.questions, { text: '', options: '' }])
  },

  removeQuestion(event: TapEvent) {
    const at = Number(event.currentTarget.dataset['at'])
    this.setQuestions(this.data.questions.filter((_, index) => index !== at))
  },

  form(): MotionForm {
    const { closes, hasOptions, isElection, matter, noticeDays, opens, pack, questions, roll, seats, text, title } = this.data
    return {
      title,
      text,
      matter,
      rulePack: pack,
      hasOptions,
      seats: isElection && seats.trim() !== '' ? Number(seats) : 0,
      questions,
      roll,
      noticeDays,
      opensMs: parseDate(opens) ?? 0,
      closeMs: parseDate(closes) ?? 0,
    }
  },

  send() {
    const form = this.form()
    const fault = faultInForm(form, serverNow())
    if (fault !== null) return this.setData({ note: faultText(fault, this.texts) })
    return this.run(async () => {
      const settlement = await proposeMotion(form)
      if (settlement.kind === 'refused') return this.setData({ note: sentenceOfSettlement(settlement, this.texts) })
      const outcomeText = sentenceOfSettlement(settlement, this.texts) || this.texts.common.recorded
      this.setData({ outcome: settlement.kind, outcomeText, receipt: settlement.id })
      this.retitle()
    })
  },

  done() {
    wx.navigateBack({})
  },
})

function packText(id: string, texts: Texts): string {
  return (texts.rulePack as Record<string, string>)[id.split('@')[0]!] ?? id
}

function rollText({ area_cm2, heads, published_ms }: RollView, texts: Texts): string {
  const time = formatTime(settings().language, published_ms, serverNow())
  return fill(texts.motionForm.rollOf, { time, heads: formatNumber(heads), area: formatArea(area_cm2) })
}

function faultText(fault: FormFault, texts: Texts): string {
  return fault === 'tooLong' ? texts.common.tooLong : texts.motionForm[fault]
}
