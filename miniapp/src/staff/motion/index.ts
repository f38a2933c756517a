/** The committee opens a motion. The matter decides the majority; nobody types a threshold. */

import { api } from '../../services/api'
import type { Matter } from '../../services/api-types'
import { sentenceOfSettlement } from '../../services/faults'
import { faultInForm, isNoticeShort, openMotion, type MotionForm, type QuestionForm } from '../../services/motions'
import type { Settlement } from '../../services/outbox'
import { serverNow } from '../../services/records'
import { fill, type Texts } from '../../texts'
import { parseDate } from '../../texts/format'
import { ask, definePage } from '../../page'

const QUESTIONS_MAX = 10

interface Row extends QuestionForm {
  readonly label: string
}

definePage({
  title: (texts) => texts.motionForm.title,
  sections: ['motionForm'],
  keeps: true,
  data: {
    title: '',
    text: '',
    matter: '',
    clause: '',
    closes: '',
    roll: '',
    packs: [] as { id: string; text: string }[],
    pack: '',
    matters: [] as readonly Matter[],
    questions: [] as Row[],
    hasOptions: false,
    mayAdd: true,
    outcome: '' as '' | Settlement['kind'],
    outcomeText: '',
    receipt: '',
  },

  all: [] as readonly Matter[],

  async load() {
    const { items } = await api.matters()
    this.all = items
    const packs = [...new Set(items.map((one) => one.rule_pack))]
    this.setData({ packs: packs.map((id) => ({ id, text: packText(id, this.texts) })) })
    // The most specific rules come last and hold unless the committee says otherwise.
    this.showPack(this.data.pack || packs[packs.length - 1]!)
    this.setQuestions(this.data.questions.length > 0 ? this.data.questions : [{ text: '', options: '' }])
  },

  showPack(pack: string) {
    this.setData({
      pack,
      matters: this.all.filter((one) => one.rule_pack === pack),
      matter: '',
      clause: '',
      hasOptions: false,
    })
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
      [event.currentTarget.dataset['field'] as 'title' | 'text' | 'closes' | 'roll']: event.detail.value,
      note: '',
    })
  },

  chooseMatter(event: ValueEvent) {
    const matter = this.data.matters.find((one) => one.id === event.detail.value)
    this.setData({
      matter: event.detail.value,
      clause: matter?.clause ?? '',
      hasOptions: matter?.free_choices ?? false,
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
    const { closes, hasOptions, matter, pack, questions, roll, text, title } = this.data
    return {
      title,
      text,
      matter,
      rulePack: pack,
      hasOptions,
      questions,
      roll: roll.trim(),
      closeMs: parseDate(closes) ?? 0,
    }
  },

  send() {
    const form = this.form()
    const fault = faultInForm(form, serverNow())
    if (fault !== null) return this.setData({ note: this.texts.motionForm[fault] })
    return this.run(async () => {
      if (!(await this.acceptShortNotice(form))) return
      const settlement = await openMotion(form, approvalTexts(this.texts))
      if (settlement.kind === 'refused') return this.setData({ note: sentenceOfSettlement(settlement, this.texts) })
      const outcomeText = sentenceOfSettlement(settlement, this.texts) || this.texts.common.recorded
      this.setData({ outcome: settlement.kind, outcomeText, receipt: settlement.id })
    })
  },

  async acceptShortNotice(form: MotionForm): Promise<boolean> {
    const { common, motionForm } = this.texts
    return (
      !isNoticeShort(form.closeMs, serverNow()) ||
      ask(motionForm.noticeShort, motionForm.noticeAsk, motionForm.open, common.cancel)
    )
  },

  done() {
    wx.navigateBack({})
  },
})

function packText(id: string, texts: Texts): string {
  return (texts.rulePack as Record<string, string>)[id] ?? id
}

function approvalTexts(texts: Texts) {
  return {
    for: texts.motionForm.choiceFor,
    against: texts.motionForm.choiceAgainst,
    abstain: texts.motionForm.choiceAbstain,
  }
}
