/** Opening a motion: what the committee fills in, checked before it is signed. Thresholds come with the matter, by law. */

import type { Settlement } from './outbox'
import { submit } from './records'

const NOTICE_MS = 15 * 86_400_000

export interface QuestionForm {
  readonly text: string
  /** Own options, one a line; empty: for, against, abstain. */
  readonly options: string
}

export interface MotionForm {
  readonly title: string
  readonly text: string
  readonly matter: string
  readonly rulePack: string
  /** Whether the matter lets a question offer its own options (always with an abstention). */
  readonly hasOptions: boolean
  readonly roll: string
  readonly closeMs: number
  readonly questions: readonly QuestionForm[]
}

export type FormFault = 'needTitle' | 'needText' | 'needMatter' | 'needQuestion' | 'badDates' | 'needRoll'

/** A code word, as `roll.publish` gave it to the roll. */
const ROLL = /^[a-z0-9][a-z0-9_-]{0,31}$/

export function faultInForm(form: MotionForm, nowMs: number): FormFault | null {
  if (form.title.trim() === '') return 'needTitle'
  if (form.text.trim() === '') return 'needText'
  if (form.matter === '') return 'needMatter'
  if (form.questions.some((question) => question.text.trim() === '' || !isAnswerable(question))) return 'needQuestion'
  if (!(form.closeMs > nowMs)) return 'badDates'
  return ROLL.test(form.roll) ? null : 'needRoll'
}

/** The law wants fifteen days of notice (product 2.2 M2): a warning, since an emergency may be lawful. */
export function isNoticeShort(closeMs: number, nowMs: number): boolean {
  return closeMs - nowMs < NOTICE_MS
}

function isAnswerable({ options }: QuestionForm): boolean {
  const lines = linesOf(options)
  return lines.length === 0 || (lines.length >= 2 && new Set(lines).size === lines.length)
}

export function linesOf(options: string): string[] {
  return options
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

export interface ApprovalTexts {
  readonly for: string
  readonly against: string
  readonly abstain: string
}

export function openMotion(form: MotionForm, approval: ApprovalTexts): Promise<Settlement> {
  const questions = form.questions.map((question, at) => ({
    choices: choicesOf(question, form.hasOptions, approval),
    id: `q${at + 1}`,
    text: question.text.trim(),
  }))
  const body = {
    close_ms: form.closeMs,
    matter: form.matter,
    questions,
    roll: form.roll,
    rule_pack: form.rulePack,
    text: form.text,
    title: form.title.trim(),
  }
  return submit({ kind: 'motion.open', body, title: form.title.trim() })
}

/** Ordinary questions ask for approval; own options always end with an abstention. */
export function choicesOf(
  question: QuestionForm,
  hasOptions: boolean,
  approval: ApprovalTexts,
): { id: string; text: string }[] {
  const lines = hasOptions ? linesOf(question.options) : []
  if (lines.length === 0) {
    return (['for', 'against', 'abstain'] as const).map((id) => ({ id, text: approval[id] }))
  }
  const own = lines.filter((line) => line !== approval.abstain).map((text, at) => ({ id: `c${at + 1}`, text }))
  return [...own, { id: 'abstain', text: approval.abstain }]
}
