/**
 * A record: what a member signs (DESIGN.md 2.1), and the private values beside it (2.2).
 * Takes salts, nonces and times as arguments: it reads no clock and no randomness.
 */

import { decodeBase64Url, encodeBase64Url } from './base64'
import { concat } from './bytes'
import { canonicalBytes, isJsonObject, parseCanonicalBytes, type Json, type JsonObject } from './canonical'
import type { DeviceKey } from './device-key'
import { sha256 } from './digest'
import { jwsId, parseJws, signJws, type Jws } from './jws'

export const NONCE_BYTES = 16
export const SALT_BYTES = 16
export const PAYLOAD_BYTES_MAX = 45_000
export const LIFETIME_MS_MAX = 86_400_000
const COMMITMENT_PREFIX = Uint8Array.of(2)
const CLUSTER_PART_LENGTH = 22

export class RecordError extends Error {}

export interface RecordPayload {
  readonly author: string
  readonly body: JsonObject
  readonly estate: string
  readonly expires_ms: number
  readonly kind: string
  readonly made_ms: number
  readonly nonce: string
}

export interface RecordDraft {
  readonly author: string
  readonly body: JsonObject
  readonly estate: string
  readonly kind: string
  readonly madeMs: number
  readonly lifetimeMs: number
  readonly nonce: Uint8Array
}

export interface SignedRecord {
  readonly id: string
  readonly jws: string
  readonly payload: RecordPayload
}

/** `<estate id>.<first 22 characters of b64u(cluster_id)>`: a record never fits another genesis. */
export function estateName(estateId: string, clusterId: string): string {
  return `${estateId}.${clusterId.slice(0, CLUSTER_PART_LENGTH)}`
}

export function signRecord(draft: RecordDraft, key: DeviceKey): SignedRecord {
  if (draft.nonce.length !== NONCE_BYTES) throw new RecordError('nonce length')
  const payload: RecordPayload = {
    author: draft.author,
    body: draft.body,
    estate: draft.estate,
    expires_ms: draft.madeMs + draft.lifetimeMs,
    kind: draft.kind,
    made_ms: draft.madeMs,
    nonce: encodeBase64Url(draft.nonce),
  }
  const bytes = canonicalBytes(payload as unknown as Json)
  checkPayload(payload, bytes.length)
  const jws = signJws('linli-record+jws', bytes, key)
  return { id: recordId(jws), jws, payload }
}

export function recordId(jws: string): string {
  return jwsId(jws.slice(0, jws.lastIndexOf('.')))
}

/** A record as it stands on the ledger: shape and canonical form are checked, the signature is not. */
export function parseRecord(text: string): { jws: Jws; payload: RecordPayload } {
  const jws = parseJws('linli-record+jws', text)
  const payload = parseCanonicalBytes(jws.payload) as unknown as RecordPayload
  checkShape(payload)
  checkPayload(payload, jws.payload.length)
  return { jws, payload }
}

const AUTHOR = /^[a-z0-9-]{1,40}$/
const ESTATE = /^[a-z0-9-]{1,32}\.[A-Za-z0-9_-]{22}$/
const KIND = /^[a-z]{2,20}\.[a-z]{2,20}(\.[0-9]{1,2})?$/
const MEMBERS = 'author,body,estate,expires_ms,kind,made_ms,nonce'

function checkShape(payload: RecordPayload): void {
  const object = payload as unknown as Json
  if (!isJsonObject(object) || Object.keys(object).sort().join() !== MEMBERS) throw new RecordError('members')
  const texts = [payload.author, payload.estate, payload.kind, payload.nonce]
  if (!texts.every((text) => typeof text === 'string') || !isJsonObject(object['body'])) throw new RecordError('types')
  if (typeof payload.made_ms !== 'number' || typeof payload.expires_ms !== 'number') throw new RecordError('types')
  if (decodeBase64Url(payload.nonce).length !== NONCE_BYTES) throw new RecordError('nonce length')
}

function checkPayload(payload: RecordPayload, size: number): void {
  if (!AUTHOR.test(payload.author) || !ESTATE.test(payload.estate) || !KIND.test(payload.kind)) {
    throw new RecordError('author, estate or kind')
  }
  if (payload.made_ms < 1) throw new RecordError('time')
  const lifetime = payload.expires_ms - payload.made_ms
  if (lifetime <= 0 || lifetime > LIFETIME_MS_MAX) throw new RecordError('lifetime')
  if (size > PAYLOAD_BYTES_MAX) throw new RecordError('payload too long')
}

/** A private value: only `commitment` is signed and ordered, `opening` (salt and value) travels beside the record. */
export interface PrivateValue {
  readonly commitment: string
  readonly opening: string
}

export function commit(value: Json, salt: Uint8Array): PrivateValue {
  if (salt.length !== SALT_BYTES) throw new RecordError('salt length')
  const opening = concat(salt, canonicalBytes(value))
  return { commitment: commitmentOf(opening), opening: encodeBase64Url(opening) }
}

/** Returns the value when the opening fits the commitment, else RecordError. */
export function open(commitment: string, opening: string): Json {
  const bytes = decodeBase64Url(opening)
  if (bytes.length <= SALT_BYTES || commitmentOf(bytes) !== commitment) throw new RecordError('opening does not fit')
  return parseCanonicalBytes(bytes.slice(SALT_BYTES))
}

export function commitmentOf(opening: Uint8Array): string {
  return encodeBase64Url(sha256(COMMITMENT_PREFIX, opening))
}
