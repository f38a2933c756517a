/** What officers sign: rolls part by part, and roles. Nothing is half applied: what is left to sign is asked for anew. */

import type { JsonObject } from '../core/canonical'
import type { Preview, RollStanding, RollWaiting, UnsignedRecords } from './generated'
import { ApiProblem } from './http'
import { organisationOf, whoAmI } from './identity'
import type { Settlement } from './outbox'
import { call } from './platform'
import { submit } from './records'

/** The organisation for which the caller holds one of these roles, the first that fits. Throws as a node would refuse. */
export async function ownOrganisation(...roles: readonly string[]): Promise<string> {
  const { roles: held } = await whoAmI()
  const found = roles.map((role) => organisationOf(held, role)).find((organisation) => organisation !== '')
  if (found === undefined) throw new ApiProblem(403, 'role_needed', '', {}, 0)
  return found
}

export interface ChosenFile {
  readonly path: string
  readonly name: string
}

const ROSTER_TYPES = ['xlsx', 'csv']

/** Null when the file is of another type: the host's own filter is only advice. Rejects when the person cancels. */
export async function chooseRoster(): Promise<ChosenFile | null> {
  const { tempFiles } = await call(wx.chooseMessageFile, { count: 1, type: 'file', extension: ROSTER_TYPES })
  const { path, name } = tempFiles[0]!
  return isRoster(name) ? { path, name } : null
}

export function isRoster(name: string): boolean {
  return ROSTER_TYPES.some((type) => name.toLowerCase().endsWith('.' + type))
}

export type Relation =
  | { readonly kind: 'new' }
  | { readonly kind: 'same' | 'differs'; readonly nodes: readonly string[] }

/** How an imported roll stands to what other organisations have published: two must have the same, or none is in force. */
export function relationOf(preview: Preview, waiting: readonly RollWaiting[], own: string): Relation {
  const others = waiting.filter((roll) => roll.confirmed_by.some((node) => node !== own))
  const same = others.find((roll) => roll.root === preview.root)
  if (same) return { kind: 'same', nodes: same.confirmed_by.filter((node) => node !== own) }
  const newest = others[0]
  return newest ? { kind: 'differs', nodes: newest.confirmed_by.filter((node) => node !== own) } : { kind: 'new' }
}

/** Whether this organisation has signed the roll that it staged. */
export function isSigned(standing: RollStanding, roll: string, own: string): boolean {
  const waiting = standing.waiting.find((one) => one.id === roll)
  return waiting ? waiting.confirmed_by.includes(own) : standing.in_force?.id === roll
}

/**
 * Signs what is left, in order; a record that is not accepted ends it, for the parts of a roll follow one another.
 * Returns the settlement that stopped it, or null when everything was accepted.
 */
export async function signAll(
  { records }: UnsignedRecords,
  titleOf: (number: number) => string,
  progress: (number: number) => void,
): Promise<Settlement | null> {
  for (const [at, { kind, body }] of records.entries()) {
    progress(at + 1)
    const settlement = await submit({ kind, body: body as unknown as JsonObject, title: titleOf(at + 1) })
    if (settlement.kind !== 'accepted') return settlement
  }
  return null
}

/**
 * Another officer was faster, with the same part or the same signature: nothing is wrong, and what is left is to be asked
 * for again. A node that is a block behind asks for what the other one has published already.
 */
export const isOvertaken = (settlement: Settlement): boolean =>
  settlement.kind === 'refused' && ['roll_part_out_of_order', 'already_approved'].includes(settlement.code)

export interface RoleGrant {
  readonly member: string
  readonly organisation: string
  readonly role: string
}

export function signRole(change: 'grant' | 'revoke', grant: RoleGrant, title: string): Promise<Settlement> {
  const { member, organisation, role } = grant
  return submit({ kind: `role.${change}`, body: { member, organisation, role }, title })
}
