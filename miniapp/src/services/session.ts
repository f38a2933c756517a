/**
 * Sessions: opened at any node with the device key (decisions 15), kept in memory only. A lost or expired token is got
 * again by signing a challenge, so no refresh token is ever stored.
 */

import { signSessionProof } from '../core/session-proof'
import type { NodeAddress, OpenedSession } from './api-types'
import { deviceKey } from './device'
import { exchange, parseAnswer } from './http'
import { API, estate } from './trust'

interface Held {
  readonly token: string
  readonly expiresMs: number
}

const MARGIN_MS = 30_000
const held = new Map<string, Held>()
const opening = new Map<string, Promise<string>>()

export async function tokenFor(node: NodeAddress): Promise<string> {
  const known = held.get(node.id)
  if (known && known.expiresMs - MARGIN_MS > Date.now()) return known.token
  const running = opening.get(node.id) ?? open(node).finally(() => opening.delete(node.id))
  opening.set(node.id, running)
  return running
}

export function dropToken(node: NodeAddress): void {
  held.delete(node.id)
}

export function dropAllTokens(): void {
  held.clear()
}

async function open(node: NodeAddress): Promise<string> {
  const key = await deviceKey()
  const { cluster_id } = await estate()
  const asked = await exchange(node.url + API + '/session/challenge', { method: 'POST', data: {} })
  const { challenge } = parseAnswer<{ challenge: string }>(asked)
  const proof = signSessionProof({ challenge, clusterId: cluster_id, node: node.id }, key)
  const answer = await exchange(node.url + API + '/session', { method: 'POST', data: { proof } })
  const session = parseAnswer<OpenedSession>(answer)
  // The node's clock decides when it ends; ours may be wrong, so only its length is used.
  held.set(node.id, { token: session.access_token, expiresMs: Date.now() + TOKEN_MS })
  return session.access_token
}

/** Nodes issue tokens of at most ten minutes (decisions 15). */
const TOKEN_MS = 8 * 60_000
