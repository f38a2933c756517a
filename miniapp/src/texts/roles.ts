/** Roles and the changes that wait for a signature, as rows of words. Knows no platform. */

import type { Offices, RoleChange, RoleHeld } from '../services/generated'
import { fill, type Texts } from './index'
import { joinNames } from './rolls'

type NameOf = (organisation: string) => string

const TAIL = 4

export interface HeldRow {
  readonly id: string
  readonly name: string
  readonly hint: string
  readonly mayTake: boolean
}

export interface WaitingChange {
  readonly id: string
  readonly isGrant: boolean
  readonly mark: string
  readonly text: string
  readonly hint: string
  readonly isMine: boolean
}

/** An officer of the founding stands on no roll: he is called by his office. A name, or for somebody whom this organisation does not know the end of his id: enough to compare aloud. */
export function personText(one: { member: string; name: string; role: string }, texts: Texts): string {
  if (one.name === '' && one.role === 'officer') return texts.roles.officer
  return one.name || fill(texts.roles.unnamed, { tail: one.member.slice(-TAIL) })
}

export function roleText(role: string, texts: Texts): string {
  return (texts.roles as Record<string, string>)[role] ?? role
}

export function heldRow(one: RoleHeld, at: number, nameOf: NameOf, texts: Texts): HeldRow {
  const name = personText(one, texts)
  const role = roleText(one.role, texts)
  const parts = [role, nameOf(one.organisation), ...(one.devices === 0 ? [texts.roles.noDevice] : [])]
  // Officers stand in the estate's founding document: no signature here can take that back.
  return { id: String(at), name, hint: parts.filter((part) => part !== name).join(' · '), mayTake: one.role !== 'officer' }
}

export function waitingChange(one: RoleChange, at: number, own: string, nameOf: NameOf, texts: Texts): WaitingChange {
  const isGrant = one.change === 'grant'
  return {
    id: String(at),
    isGrant,
    mark: isGrant ? texts.roles.waitingGrant : texts.roles.waitingRevoke,
    text: [personText(one, texts), roleText(one.role, texts), nameOf(one.organisation)].join(' · '),
    hint: fill(texts.roles.signedBy, { nodes: joinNames(one.approved_by.map(nameOf), texts) }),
    isMine: one.approved_by.includes(own),
  }
}

/** Whether a change holds by now, so that the officer is told what is, not what was asked for. */
export function holds(offices: Offices, change: 'grant' | 'revoke', one: Omit<RoleHeld, 'name' | 'devices'>): boolean {
  const isHeld = offices.held.some(
    ({ member, organisation, role }) =>
      member === one.member && organisation === one.organisation && role === one.role,
  )
  return isHeld === (change === 'grant')
}
