/** Tickets: reporting with photos, and the steps after it. Free text, place and contact are private values. */

import { lengthMax, lengthOf, tidyLine, tidyText } from '../core/limit'
import { EMPTY_TICKET, type TicketDraft } from './drafts'
import { PRIVATE_TEXTS } from './generated'
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

type Texts = typeof PRIVATE_TEXTS
type TicketKind = keyof Texts & `ticket.${string}`

/** Characters that a private text may have; its opening then fits the 4 KiB of one whatever the script. */
export function roomFor<Kind extends TicketKind>(kind: Kind, field: keyof Texts[Kind]): number {
  return lengthMax(PRIVATE_TEXTS[kind][field] as string)
}

/** Steps after the report have one private text. */
export const NOTE_LENGTH_MAX = roomFor('ticket.progress', 'note')

export function isTooLong(draft: TicketDraft): boolean {
  const fields = ['contact', 'place', 'text'] as const
  return fields.some((field) => lengthOf(draft[field]) > roomFor('ticket.report', field))
}

export async function reportTicket(draft: TicketDraft, title: string): Promise<Settlement> {
  const [contact, place, text] = await Promise.all([
    seal(tidyLine(draft.contact)),
    seal(tidyLine(draft.place)),
    seal(tidyText(draft.text)),
  ])
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
  const sealed = await seal(tidyText(note))
  const body = { note: sealed.commitment, photos: photoReferences(photos), ticket }
  return submit({ kind, body, openings: [sealed.opening], title })
}
