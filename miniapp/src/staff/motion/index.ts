/** The committee opens a motion. The matter decides the majority; nobody types a threshold. */

import { api } from '../../services/api'
import { sentenceOfSettlement } from '../../services/faults'
import {
  faultInForm, isNoticeShort, MATTERS, mayOfferOptions, openMotion, type Matter, type MotionForm, type QuestionForm,
} from '../../services/motions'
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
    title: '', text: '', matter: 'other' as Matter, closes: '', matters: [] as { id: string; text: string }[],
    questions: [] as Row[], hasOptions: true, mayAdd: true, roll: '', rulePack: '',
    outcome: '' as '' | Settlement['kind'], outcomeText: '', receipt: '',
  },

  async load() {
    const { roll, rule_pack } = await api.newestRoll()
    const matters = MATTERS.map((id) => ({ id, text: this.texts.matter[id] }))
    this.setData({ matters, roll, rulePack: rule_pack })
    this.setQuestions(this.data.questions.length > 0 ? this.data.questions : [{ text: '', options: '' }])
  },

  setQuestions(questions: readonly QuestionForm[]) {
    const rows = questions.map(({ text, options }, at) => ({ text, options, label: fill(this.texts.motionForm.question, { n: at + 1 }) }))
    this.setData({ questions: rows, mayAdd: rows.length < QUESTIONS_MAX, note: '' })
  },

  typed(event: ValueEvent) {
    this.setData({ [event.currentTarget.dataset['field'] as 'title' | 'text' | 'closes']: event.detail.value, note: '' })
  },

  chooseMatter(event: ValueEvent) {
    const matter = event.detail.value as Matter
    this.setData({ matter, hasOptions: mayOfferOptions(matter), note: '' })
  },

  typedQuestion(event: ValueEvent) {
    const { at, field } = event.currentTarget.dataset
    this.setQuestions(this.data.questions.map((one, index) => (index === Number(at) ? { ...one, [String(field)]: event.detail.value } : one)))
  },

  addQuestion() {
    this.setQuestions([...this.data.questions, { text: '', options: '' }])
  },

  removeQuestion(event: TapEvent) {
    const at = Number(event.currentTarget.dataset['at'])
    this.setQuestions(this.data.questions.filter((_, index) => index !== at))
  },

  form(): MotionForm {
    const { closes, matter, questions, roll, rulePack, text, title } = this.data
    return { title, text, matter, roll, rulePack, questions, closeMs: parseDate(closes) ?? 0 }
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
    return !isNoticeShort(form.closeMs, serverNow()) || ask(motionForm.noticeShort, motionForm.noticeAsk, motionForm.open, common.cancel)
  },

  done() {
    wx.navigateBack({})
  },
})

function approvalTexts(texts: Texts) {
  return { for: texts.motionForm.choiceFor, against: texts.motionForm.choiceAgainst, abstain: texts.motionForm.choiceAbstain }
}
