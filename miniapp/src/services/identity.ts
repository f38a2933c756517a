/** Proving to two organisations who one is, and binding this phone's key (decisions 13). */

import { api, type Claim } from './api'
import type { Attested, Device, NodeAddress, SessionInfo } from './api-types'
import { deviceKey, forgetDeviceKey } from './device'
import { joinDraft } from './drafts'
import type { Settlement } from './outbox'
import { keepWord } from './proofs'
import { noteServerTime, submit } from './records'
import { dropAllTokens } from './session'
import { store } from './store'
import { refreshEstate } from './trust'

export const ATTESTATIONS = 2
/** Code words only on the ledger: what a person calls his phone would be a name in public. */
const DEVICE_LABEL = 'phone'
/** No later record can bind such a key; a fresh one can be bound at once. */
const KEY_IS_LOST = ['device_revoked', 'key_of_another']

export function isMember(): boolean {
  return store.read('member') !== undefined
}

export async function whoAmI(): Promise<SessionInfo> {
  const info = await api.session()
  noteServerTime(info.server_ms)
  store.write('member', { member: info.member, name: info.name })
  return info
}

/** Roles other than resident are held for an organisation: `staff@property`. */
export function hasRole(roles: readonly string[], role: string): boolean {
  return roles.some((held) => held === role || held.startsWith(role + '@'))
}

/** For which organisation a role is held; '' for none. */
export function organisationOf(roles: readonly string[], role: string): string {
  return roles.find((held) => held.startsWith(role + '@'))?.slice(role.length + 1) ?? ''
}

/** This phone as the ledger has it; undefined before it was bound, or when nobody can be asked. */
export async function ownDevice(): Promise<Device | undefined> {
  if (!isMember()) return undefined
  const [{ kid }, page] = await Promise.all([deviceKey(), api.devices().catch(() => undefined)])
  return page?.items.find((one) => one.kid === kid)
}

/** Organisations that have given their word for this phone: bound already, or kept in the draft. */
export async function vouchedFor(): Promise<readonly string[]> {
  const device = await ownDevice()
  const bound = device && !device.revoked ? device.attested_by : []
  return [...new Set([...bound, ...joinDraft().attested.map((one) => one.attestation.node)])]
}

export async function sendCode(node: NodeAddress, claim: Claim): Promise<void> {
  await api.sendCode(node, claim)
}

/** The organisation's word that this key is this person's, kept in the draft until the key is bound. */
export async function attest(node: NodeAddress, phone: string, code: string): Promise<Attested> {
  const key = await deviceKey()
  return keepWord(await api.attestPhone(node, phone, code, key.jwk))
}

export async function bindDevice(title: string): Promise<Settlement> {
  const { attested } = joinDraft()
  const member = attested[0]!.member
  const key = await deviceKey()
  const { privacy, server_ms } = await refreshEstate()
  noteServerTime(server_ms)
  const attestations = attested
    .filter((one) => one.member === member)
    .map(({ attestation }) => ({
      evidence: attestation.evidence,
      node: attestation.node,
      signature: attestation.signature,
      time_ms: attestation.time_ms,
    }))
  const body = {
    attestations,
    device_key: { ...key.jwk },
    label: DEVICE_LABEL,
    member,
    privacy_version: privacy.version,
  }
  const settlement = await submit({ kind: 'device.bind', body, title, author: member })
  if (settlement.kind === 'accepted') {
    store.write('member', { member, name: joinDraft().name })
    store.remove('join')
    dropAllTokens()
  }
  if (settlement.kind === 'refused' && KEY_IS_LOST.includes(settlement.code)) forgetDeviceKey()
  return settlement
}

/** Switching off the phone in hand ends its key: the next registration is made with a new one. */
export async function revokeDevice(kid: string, title: string): Promise<Settlement> {
  const { kid: own } = await deviceKey()
  const settlement = await submit({ kind: 'device.revoke', body: { revoked: kid }, title })
  if (settlement.kind === 'accepted' && kid === own) {
    forgetDeviceKey()
    dropAllTokens()
    store.remove('member')
  }
  return settlement
}
