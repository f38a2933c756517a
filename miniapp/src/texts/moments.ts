/** The history of a ticket in words. */

import { formatTime } from './format'
import { fill, type Language, type Texts } from './index'

interface Step {
  readonly record: string
  readonly kind: string
  readonly at_ms: number
  readonly by: string
  readonly note: string
  readonly photos: readonly string[]
}

export interface Moment {
  readonly id: string
  readonly title: string
  readonly hint: string
  readonly note: string
  readonly photos: readonly { readonly sha256: string; readonly label: string }[]
}

/** `self` is the reader: the ledger knows pseudonyms only, and a page shows parts, not pseudonyms. */
export function momentsOf(
  steps: readonly Step[],
  self: string,
  language: Language,
  nowMs: number,
  texts: Texts,
): Moment[] {
  return steps.map((step) => ({
    id: step.record,
    title: stepText(step.kind, texts),
    hint: [formatTime(language, step.at_ms, nowMs), partOf(step, self, texts)]
      .filter((part) => part !== '')
      .join(' · '),
    note: step.note,
    photos: step.photos.map((sha256, at) => ({ sha256, label: fill(texts.common.photo, { n: at + 1 }) })),
  }))
}

const REPORTERS_STEPS = ['report', 'confirm', 'reopen']

function partOf(step: Step, self: string, texts: Texts): string {
  if (step.by === '') return texts.ticketKind.byTime
  if (step.by === self) return texts.ticketKind.byYou
  return REPORTERS_STEPS.includes(verbOf(step.kind)) ? texts.ticketKind.byReporter : texts.ticketKind.byStaff
}

const verbOf = (kind: string): string => kind.replace(/^ticket\./, '')

function stepText(kind: string, texts: Texts): string {
  return (texts.ticketKind as Record<string, string>)[verbOf(kind)] ?? texts.ticketKind.other
}
