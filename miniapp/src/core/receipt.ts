/**
 * Receipts (DESIGN.md 2.5): one or two tlog-proofs separated by a line `---`. The first proves the record and what was
 * decided, the second the `device.bind` that tied the signing key to its owner. Verified here, on the phone, against
 * the policy alone; no server is asked.
 */

import { decodeBase64 } from './base64'
import { isJsonObject, parseCanonicalBytes, type Json } from './canonical'
import { CheckpointError, parseCheckpoint, verifyCheckpoint, type PolicySource, type VerifiedCheckpoint } from './checkpoint'
import { parseJwk, thumbprint, type PublicJwk } from './device-key'
import { parseEntry, type Entry } from './entry'
import { encodeHex } from './hex'
import { verifyJws } from './jws'
import { leafHash, verifyInclusion } from './merkle'
import type { Grade } from './policy'
import type { TreeBranch } from './tiles'
import { parseRecord, recordId, type RecordPayload } from './record'
import { encodeUtf8 } from './utf8'

export type ReceiptFault =
  | 'form'
  | 'extra'
  | 'entry'
  | 'index'
  | 'not_in_tree'
  | 'checkpoint'
  | 'not_committed'
  | 'record'
  | 'device_key'
  | 'device_signature'
  | 'binding'

/** `detail` is for developers; people get a sentence for `fault`. */
export class ReceiptError extends Error {
  constructor(
    readonly fault: ReceiptFault,
    readonly detail: string,
  ) {
    super(`${fault}: ${detail}`)
  }
}

export interface ProvenEntry {
  readonly entry: Entry
  readonly leaf: Uint8Array
  readonly checkpoint: VerifiedCheckpoint
  readonly grade: Grade
  /** Absent for a derived entry, which nobody signed. */
  readonly record?: { readonly id: string; readonly kid: string; readonly payload: RecordPayload }
}

export interface VerifiedReceipt extends ProvenEntry {
  /** False: signed by that key, but who holds it was not checked. */
  readonly ownerChecked: boolean
}

const SEPARATOR = '\n---\n'
const VERSION = 'c2sp.org/tlog-proof@v1'

export function verifyReceipt(text: string, policy: PolicySource): VerifiedReceipt {
  const parts = text.split(SEPARATOR)
  if (parts.length > 2) throw new ReceiptError('form', 'more than two proofs')
  const [first, second] = parts.map((part, at) => verifyProof(at < parts.length - 1 ? part + '\n' : part, policy))
  if (second) checkBinding(first!, second)
  return { ...first!, ownerChecked: second !== undefined || bindsItself(first!) }
}

/** Short code on slips and screens: `<origin>,<index>,<first 16 hex digits of the leaf hash>`. */
export function receiptCode(proven: ProvenEntry): string {
  return `${proven.checkpoint.origin},${proven.entry.index},${encodeHex(proven.leaf).slice(0, 16)}`
}

/** The first proof of a receipt as a branch of its tree, and the checkpoint it stands under. Throws ReceiptError. */
export function readBranch(text: string): { readonly note: string; readonly branch: TreeBranch } {
  const parts = text.split(SEPARATOR)
  const { extra, index, hashes, note } = parseProof(parts.length > 1 ? parts[0] + '\n' : text)
  return { note, branch: { index, leaf: leafHash(encodeUtf8(readExtra(extra).entry)), proof: hashes } }
}

/** An entry and its place in the tree of a checkpoint, whose signatures are the caller's to check. Throws ReceiptError. */
export function openProof(text: string): OpenedProof {
  const { extra, index, hashes, note } = parseProof(text)
  const data = readExtra(extra).entry
  const entry = attempt('entry', () => parseEntry(data))
  if (entry.index !== index) throw new ReceiptError('index', 'entry says another index')
  const { size, root } = attempt('checkpoint', () => parseCheckpoint(note))
  attempt('not_in_tree', () => verifyInclusion(leafHash(encodeUtf8(data)), index, size, hashes, root))
  return { data, entry, index, note }
}

interface OpenedProof {
  /** The entry's text, as the log has it. */
  readonly data: string
  readonly entry: Entry
  readonly index: number
  readonly note: string
}

interface ProofText {
  readonly extra: Uint8Array
  readonly index: number
  readonly hashes: readonly Uint8Array[]
  readonly note: string
}

function parseProof(text: string): ProofText {
  const end = text.indexOf('\n\n')
  const [version, extra = '', index = '', ...hashes] = text.slice(0, end).split('\n')
  if (end < 0 || version !== VERSION) throw new ReceiptError('form', 'version line')
  const hasHeader = extra.startsWith('extra ') && /^index (0|[1-9]\d{0,15})$/.test(index)
  if (!hasHeader) throw new ReceiptError('form', 'header lines')
  return {
    extra: attempt('form', () => decodeBase64(extra.slice('extra '.length))),
    index: Number(index.slice('index '.length)),
    hashes: attempt('form', () => hashes.map(decodeBase64)),
    note: text.slice(end + 2),
  }
}

function verifyProof(text: string, policy: PolicySource): ProvenEntry {
  const proof = parseProof(text)
  const extra = readExtra(proof.extra)
  const entry = attempt('entry', () => parseEntry(extra.entry))
  if (entry.index !== proof.index) throw new ReceiptError('index', 'entry says another index')
  const checkpoint = attempt('checkpoint', () => verifyCheckpoint(proof.note, policy))
  const leaf = leafHash(encodeUtf8(extra.entry))
  attempt('not_in_tree', () => verifyInclusion(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root))
  const proven = { entry, leaf, checkpoint, grade: checkGrade(checkpoint) }
  return 'record' in entry ? { ...proven, record: verifyRecord(entry.record, extra.deviceKey) } : proven
}

function readExtra(bytes: Uint8Array): { entry: string; deviceKey: Json | undefined } {
  const extra = attempt('extra', () => parseCanonicalBytes(bytes))
  if (!isJsonObject(extra) || typeof extra['entry'] !== 'string') throw new ReceiptError('extra', 'entry')
  const known = Object.keys(extra).every((key) => key === 'device_key' || key === 'entry')
  if (!known) throw new ReceiptError('extra', 'members')
  return { entry: extra['entry'], deviceKey: extra['device_key'] }
}

function checkGrade(checkpoint: VerifiedCheckpoint): Grade {
  if (checkpoint.grade !== null) return checkpoint.grade
  throw new ReceiptError('not_committed', `cosigned by ${[...checkpoint.cosigned.keys()].join(', ') || 'nobody'}`)
}

function verifyRecord(text: string, deviceKey: Json | undefined): NonNullable<ProvenEntry['record']> {
  const { jws, payload } = attempt('record', () => parseRecord(text))
  const jwk: PublicJwk = attempt('device_key', () => parseJwk(deviceKey))
  if (thumbprint(jwk) !== jws.kid) throw new ReceiptError('device_key', 'thumbprint is not the kid')
  if (!verifyJws(jws, jwk)) throw new ReceiptError('device_signature', 'signature')
  return { id: recordId(text), kid: jws.kid, payload }
}

/** The second proof must be the accepted `device.bind` of the same key by the same author in the same estate. */
function checkBinding(first: ProvenEntry, second: ProvenEntry): void {
  const record = first.record
  const bind = second.record
  if (!record || !bind || !bindsItself(second)) throw new ReceiptError('binding', 'not an accepted device.bind')
  if (bind.kid !== record.kid) throw new ReceiptError('binding', 'another key')
  if (bind.payload.author !== record.payload.author) throw new ReceiptError('binding', 'another author')
  if (bind.payload.estate !== record.payload.estate) throw new ReceiptError('binding', 'another estate')
  if (second.entry.index > first.entry.index) throw new ReceiptError('binding', 'bound after the record')
}

function bindsItself(proven: ProvenEntry): boolean {
  const record = proven.record
  if (record?.payload.kind !== 'device.bind' || proven.entry.outcome !== 'accepted') return false
  const jwk = attempt('binding', () => parseJwk(record.payload.body['device_key']))
  return thumbprint(jwk) === record.kid
}

/** Every failure inside becomes this fault; anything else that escapes this module is a bug. */
function attempt<Value>(fault: ReceiptFault, action: () => Value): Value {
  try {
    return action()
  } catch (error) {
    if (error instanceof ReceiptError) throw error
    const why = error instanceof CheckpointError ? error.fault : (error as Error).message
    throw new ReceiptError(fault, why)
  }
}
