/** A ticket in words: category, state, and one row of a list. Used by residents and staff alike. */

import { formatTime } from './format'
import type { Language, Texts } from './index'

export interface TicketRow {
  readonly id: string
  readonly title: string
  readonly hint: string
  readonly state: string
  readonly tone: string
}

interface Summary {
  readonly id: string
  readonly category: string
  readonly state: string
  readonly place: string
  readonly at_ms: number
}

export function ticketRow(ticket: Summary, language: Language, nowMs: number, texts: Texts): TicketRow {
  const at = formatTime(language, ticket.at_ms, nowMs)
  return {
    id: ticket.id,
    title: categoryText(ticket.category, texts),
    hint: [ticket.place, at].filter((part) => part !== '').join(' · '),
    state: stateText(ticket.state, texts),
    tone: toneOf(ticket.state),
  }
}

export function categoryText(category: string, texts: Texts): string {
  return (texts.category as Record<string, string>)[category] ?? texts.category.other
}

export function stateText(state: string, texts: Texts): string {
  return (texts.ticketState as Record<string, string>)[state] ?? texts.ticketState.unknown
}

export function toneOf(state: string): string {
  if (state === 'confirmed' || state === 'closed') return 'good'
  return state === 'done' || state === 'reopened' ? 'wait' : ''
}
