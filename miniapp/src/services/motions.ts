/** Proposing a motion: what the committee fills in, checked before it is signed. Thresholds come with the matter, by law. */

import type { JsonObject } from '../core/canonical'
import { lengthOf } from '../core/limit'
import { APPROVAL, APPROVAL_TEXTS } from '../texts/choices'
import type { Motion } from './api-types'
import type { Settlement } from './outbox'
import { serverNow, submit } from './records'

const DAY_MS = 86_400_000
const CHINA_MS = 8 * 3_600_000

export type DecisionKind = 'motion.cancel' | 'motion.correct' | 'motion.extend'

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
  /** Of an election: how many are elected; 0 otherwise. Options are the candidates then. */
  readonly seats: number
  readonly roll: string
  /** Days between the announcement and the opening; 0: it opens at once, whatever the first day says. */
  readonly noticeDays: number
  readonly opensMs: number
  readonly closeMs: number
  readonly questions: readonly QuestionForm[]
}

export type FormFault = 'tooLong' | 'needTitle' | 'needText' | 'needMatter' | 'needQuestion' | 'needSeats' | 'badDates' | 'badNotice' | 'needRoll'

/** What the record of a motion has room for, in characters. */
export const TITLE_LENGTH_MAX = 100
export const TEXT_LENGTH_MAX = 4_000
export const QUESTION_LENGTH_MAX = 1_000
export const CHOICE_LENGTH_MAX = 100
/** Besides the abstention, which is always offered. */
export const OPTIONS_MAX = 30
export const SEATS_MAX = 15
/** Room for the field in which options stand one a line. */
export const OPTIONS_LENGTH_MAX = (CHOICE_LENGTH_MAX + 1) * OPTIONS_MAX

export function faultInForm(form: MotionForm, nowMs: number): FormFault | null {
  if (form.title.trim() === '') return 'needTitle'
  if (form.text.trim() === '') return 'needText'
  if (form.matter === '') return 'needMatter'
  if (form.questions.some((question) => question.text.trim() === '' || !isAnswerable(question))) return 'needQuestion'
  if (form.seats > 0 && form.questions.some((one) => linesOf(one.options).length === 0)) return 'needQuestion'
  if (!Number.isInteger(form.seats) || form.seats < 0 || form.seats > SEATS_MAX) return 'needSeats'
  if (isTooLong(form)) return 'tooLong'
  if (!(form.closeMs > Math.max(opensAt(form, nowMs), nowMs))) return 'badDates'
  if (isNoticeShort(form, nowMs)) return 'badNotice'
  return form.roll === '' ? 'needRoll' : null
}

/** The first day on which voting may begin: the day of the notice does not count (Civil Code 201). In ms, midnight. */
export function earliestOpening(noticeDays: number, nowMs: number): number {
  return (dayOf(nowMs) + noticeDays) * DAY_MS - CHINA_MS
}

function isNoticeShort({ noticeDays, opensMs }: MotionForm, nowMs: number): boolean {
  return noticeDays > 0 && opensMs < earliestOpening(noticeDays, nowMs)
}

function opensAt({ noticeDays, opensMs }: MotionForm, nowMs: number): number {
  return noticeDays > 0 ? opensMs : nowMs
}

/** The day in China's time, counted from 1970-01-01. */
function dayOf(timeMs: number): number {
  return Math.floor((timeMs + CHINA_MS) / DAY_MS)
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

export function proposeMotion(form: MotionForm): Promise<Settlement> {
  const questions = form.questions.map((question, at) => ({
    choices: choicesOf(question, form.hasOptions),
    id: `q${at + 1}`,
    seats: form.seats,
    text: question.text.trim(),
  }))
  const body = {
    budget: [],
    close_ms: form.closeMs,
    contract: [],
    matter: form.matter,
    opens_ms: opensAt(form, serverNow()),
    petition: '',
    questions,
    quotes: [],
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

/** One more signature under a proposed motion. */
export function approveMotion(motion: Motion): Promise<Settlement> {
  const body = { motion: motion.id, petition: motion.petition, roll: motion.roll }
  return submit({ kind: 'motion.approve', body, title: motion.title })
}

/** A decision about a motion: the first signature under these words, or one more. */
export function decide(kind: DecisionKind, body: JsonObject, title: string): Promise<Settlement> {
  return submit({ kind, body, title })
}
