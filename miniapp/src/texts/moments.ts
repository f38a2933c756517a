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

export function momentsOf(steps: readonly Step[], language: Language, nowMs: number, texts: Texts): Moment[] {
  return steps.map((step) => ({
    id: step.record,
    title: stepText(step.kind, texts),
    hint: [formatTime(language, step.at_ms, nowMs), step.by].filter((part) => part !== '').join(' · '),
    note: step.note,
    photos: step.photos.map((sha256, at) => ({ sha256, label: fill(texts.common.photo, { n: at + 1 }) })),
  }))
}

function stepText(kind: string, texts: Texts): string {
  const verb = kind.replace(/^ticket\./, '')
  return (texts.ticketKind as Record<string, string>)[verb] ?? texts.ticketKind.other
}
