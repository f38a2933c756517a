/** What is half filled in. Stored at every change, so that a killed app loses nothing. */

import type { Attested } from './api-types'
import type { QueuedPhoto } from './photos'
import { store } from './store'

export interface JoinDraft {
  readonly name: string
  readonly room: string
  /** Owns no home here: an officer has added this person by name. */
  readonly ownsNone: boolean
  readonly phone: string
  /** Attestations that were given and not yet bound, by node. */
  readonly attested: readonly Attested[]
  /** Nodes that were asked to send a code. */
  readonly asked: readonly string[]
}

export interface BallotDraft {
  /** Choice by question id. */
  readonly choices: Readonly<Record<string, string>>
}

export interface TicketDraft {
  readonly category: string
  readonly place: string
  readonly text: string
  readonly contact: string
  readonly home: boolean
  readonly photos: readonly QueuedPhoto[]
}

export const EMPTY_JOIN: JoinDraft = { name: '', room: '', ownsNone: false, phone: '', attested: [], asked: [] }
export const EMPTY_TICKET: TicketDraft = { category: '', place: '', text: '', contact: '', home: false, photos: [] }

export function joinDraft(): JoinDraft {
  return { ...EMPTY_JOIN, ...store.read('join') }
}

export function ticketDraft(): TicketDraft {
  return store.read('ticket') ?? EMPTY_TICKET
}

export function hasTicketDraft(): boolean {
  const draft = ticketDraft()
  return draft.text !== '' || draft.place !== '' || draft.photos.length > 0
}

export function ballotDraft(motion: string): BallotDraft {
  return store.readBallot(motion) ?? { choices: {} }
}
