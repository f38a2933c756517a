/** Tickets: reporting with photos, and the steps after it. Free text, place and contact are private values. */

import { EMPTY_TICKET, type TicketDraft } from './drafts'
import type { Settlement } from './outbox'
import { photoReferences, type QueuedPhoto } from './photos'
import { seal, submit } from './records'
import { store } from './store'

export const CATEGORIES = [
  'lighting',
  'door',
  'lift',
  'water',
  'power',
  'cleaning',
  'noise',
  'parking',
  'safety',
  'other',
] as const
export type Category = (typeof CATEGORIES)[number]

/** An opening is at most 4 KiB; a Chinese character is three bytes. */
export const TEXT_LENGTH_MAX = 1_000
export const LINE_LENGTH_MAX = 100

export async function reportTicket(draft: TicketDraft, title: string): Promise<Settlement> {
  const [contact, place, text] = await Promise.all([seal(draft.contact), seal(draft.place), seal(draft.text)])
  const body = {
    category: draft.category,
    contact: contact.commitment,
    home: draft.home,
    photos: photoReferences(draft.photos),
    place: place.commitment,
    text: text.commitment,
  }
  const openings = [contact.opening, place.opening, text.opening]
  const settlement = await submit({ kind: 'ticket.report', body, openings, title })
  // Stored in the outbox now: the draft has done its work, whatever the network does.
  if (settlement.kind !== 'refused') store.write('ticket', { ...EMPTY_TICKET, contact: draft.contact })
  return settlement
}

export function assignTicket(ticket: string, handler: string, title: string): Promise<Settlement> {
  return submit({ kind: 'ticket.assign', body: { handler, ticket }, title })
}

export function confirmTicket(ticket: string, title: string): Promise<Settlement> {
  return submit({ kind: 'ticket.confirm', body: { ticket }, title })
}

export async function addToTicket(
  kind: 'ticket.progress' | 'ticket.complete' | 'ticket.reopen',
  ticket: string,
  note: string,
  photos: readonly QueuedPhoto[],
  title: string,
): Promise<Settlement> {
  const sealed = await seal(note)
  const body = { note: sealed.commitment, photos: photoReferences(photos), ticket }
  return submit({ kind, body, openings: [sealed.opening], title })
}
