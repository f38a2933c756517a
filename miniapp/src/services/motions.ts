/** Opening a motion: what the committee fills in, checked before it is signed. Thresholds come with the matter, by law. */

import { lengthOf } from '../core/limit'
import { APPROVAL, APPROVAL_TEXTS } from '../texts/choices'
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

export type FormFault = 'tooLong' | 'needTitle' | 'needText' | 'needMatter' | 'needQuestion' | 'badDates' | 'needRoll'

/** What the record of a motion has room for, in characters. */
export const TITLE_LENGTH_MAX = 100
export const TEXT_LENGTH_MAX = 4_000
export const QUESTION_LENGTH_MAX = 1_000
export const CHOICE_LENGTH_MAX = 100
/** Besides the abstention, which is always offered. */
export const OPTIONS_MAX = 9
/** Room for the field in which options stand one a line. */
export const OPTIONS_LENGTH_MAX = (CHOICE_LENGTH_MAX + 1) * OPTIONS_MAX

export function faultInForm(form: MotionForm, nowMs: number): FormFault | null {
  if (form.title.trim() === '') return 'needTitle'
  if (form.text.trim() === '') return 'needText'
  if (form.matter === '') return 'needMatter'
  if (form.questions.some((question) => question.text.trim() === '' || !isAnswerable(question))) return 'needQuestion'
  if (isTooLong(form)) return 'tooLong'
  if (!(form.closeMs > nowMs)) return 'badDates'
  return form.roll === '' ? 'needRoll' : null
}

/** The law wants fifteen days of notice (product 2.2 M2): a warning, since an emergency may be lawful. */
export function isNoticeShort(closeMs: number, nowMs: number): boolean {
  return closeMs - nowMs < NOTICE_MS
}

function isTooLong({ questions, text, title }: MotionForm): boolean {
  const isLong = questions.some((question) => lengthOf(question.text) > QUESTION_LENGTH_MAX)
  return isLong || lengthOf(text) > TEXT_LENGTH_MAX || lengthOf(title) > TITLE_LENGTH_MAX
}

function isAnswerable({ options }: QuestionForm): boolean {
  const lines = linesOf(options)
  if (lines.length === 0) return true
  const isWorded = lines.every((line) => lengthOf(line) <= CHOICE_LENGTH_MAX)
  return isWorded && lines.length >= 2 && lines.length <= OPTIONS_MAX && new Set(lines).size === lines.length
}

export function linesOf(options: string): string[] {
  return options
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

export function openMotion(form: MotionForm): Promise<Settlement> {
  const questions = form.questions.map((question, at) => ({
    choices: choicesOf(question, form.hasOptions),
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
  return submit({ kind: 'motion.propose', body, title: form.title.trim() })
}

/** Ordinary questions ask for approval; own options always end with an abstention. */
export function choicesOf(question: QuestionForm, hasOptions: boolean): { id: string; text: string }[] {
  const lines = hasOptions ? linesOf(question.options) : []
  if (lines.length === 0) {
    return APPROVAL.map((id) => ({ id, text: APPROVAL_TEXTS[id] }))
  }
  const own = lines.filter((line) => line !== APPROVAL_TEXTS.abstain).map((text, at) => ({ id: `c${at + 1}`, text }))
  return [...own, { id: 'abstain', text: APPROVAL_TEXTS.abstain }]
}
