/**
 * Checkpoints (c2sp.org/tlog-checkpoint) with the log's signature (type 0x01) and cosignatures (type 0x04,
 * c2sp.org/tlog-cosignature v1). Lines of unknown keys are ignored; a bad signature of a known key rejects the whole.
 */

import { ed25519 } from '@noble/curves/ed25519.js'
import { decodeBase64 } from './base64'
import { concat } from './bytes'
import { DIGEST_BYTES } from './digest'
import { gradeOf, isSignedBy, type Grade, type Policy, type VerifierKey } from './policy'
import { encodeUtf8 } from './utf8'

export type CheckpointFault =
  | 'note_form'
  | 'origin'
  | 'extension_line'
  | 'size'
  | 'root'
  | 'signature_line'
  | 'signature_length'
  | 'signature'
  | 'signer_twice'
  | 'log_signature_missing'

export class CheckpointError extends Error {
  constructor(readonly fault: CheckpointFault) {
    super(fault)
  }
}

export interface Checkpoint {
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
}

export interface VerifiedCheckpoint extends Checkpoint {
  /** The whole text, as it was signed: what is shown to others as proof. */
  readonly note: string
  /** Witness names of the policy and the second (Unix time) each of them stated. */
  readonly cosigned: ReadonlyMap<string, number>
  readonly logSignatures: number
  /** What these cosignatures amount to under the policy; null: not even its quorum. */
  readonly grade: Grade | null
}

const KEY_ID_BYTES = 4
const TIME_BYTES = 8
const SIGNATURE_BYTES = 64
const POINT_BYTES = 32
/** c2sp.org/signed-note: no control characters but the line feed. */
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f]/
const SIGNATURE_LINE = /^\u2014 (\S+) (\S+)$/

/** One policy, or the one for a tree of each size where members have changed. */
export type PolicySource = Policy | ((size: number) => Policy)

export const policyFor = (policies: PolicySource, size: number): Policy =>
  typeof policies === 'function' ? policies(size) : policies

export function verifyCheckpoint(note: string, policies: PolicySource): VerifiedCheckpoint {
  const verified = verifyCosigned(note, policies)
  if (verified.logSignatures === 0) throw new CheckpointError('log_signature_missing')
  return verified
}

/** The same for a checkpoint on which no log's own line is asked for: the members' are enough. */
export function verifyCosigned(note: string, policies: PolicySource): VerifiedCheckpoint {
  const end = note.lastIndexOf('\n\n')
  if (end < 0 || !note.endsWith('\n') || CONTROL.test(note)) throw new CheckpointError('note_form')
  const text = note.slice(0, end + 1)
  const policy = policyFor(policies, sizeOf(text))
  const checkpoint = parseText(text, policy.origin)
  const cosigned = new Map<string, number>()
  const logs = new Set<VerifierKey>()
  for (const line of note.slice(end + 2, -1).split('\n')) readSignature(line, text, policy, cosigned, logs)
  return { ...checkpoint, note, cosigned, logSignatures: logs.size, grade: gradeOf(policy, new Set(cosigned.keys())) }
}

/** A checkpoint taken apart, nothing of it checked: for a caller who checks its signatures by other means. */
export function parseCheckpoint(note: string): Checkpoint {
  const end = note.lastIndexOf('\n\n')
  if (end < 0) throw new CheckpointError('note_form')
  return parseText(note.slice(0, end + 1), note.slice(0, note.indexOf('\n')))
}

/** The size that a checkpoint's text says, to choose a policy by; 0 for what is none. */
function sizeOf(text: string): number {
  const size = Number(/^[^\n]*\n(\d{1,15})\n/.exec(text)?.[1] ?? 0)
  return Number.isSafeInteger(size) ? size : 0
}

/** Extension lines are refused: cosignature/v1 says nothing about them (ledger rule 4.1). */
function parseText(text: string, expected: string): Checkpoint {
  const [origin, size, root, rest, ...more] = text.split('\n')
  if (origin !== expected) throw new CheckpointError('origin')
  const isSize = size !== undefined && /^(0|[1-9]\d{0,15})$/.test(size) && Number.isSafeInteger(Number(size))
  if (!isSize) throw new CheckpointError('size')
  if (root === undefined || rest === undefined) throw new CheckpointError('note_form')
  if (rest !== '' || more.length > 0) throw new CheckpointError('extension_line')
  return { origin, size: Number(size), root: digestOf(root) }
}

function digestOf(text: string): Uint8Array {
  const bytes = decodeOr(text, 'root')
  if (bytes.length !== DIGEST_BYTES) throw new CheckpointError('root')
  return bytes
}

function readSignature(
  line: string,
  text: string,
  policy: Policy,
  cosigned: Map<string, number>,
  logs: Set<VerifierKey>,
): void {
  const found = SIGNATURE_LINE.exec(line)
  if (!found) throw new CheckpointError('signature_line')
  const [, name, encoded] = found as unknown as [string, string, string]
  const blob = decodeOr(encoded, 'signature_line')
  const log = policy.logs.find((key) => isSignedBy(key, name, blob))
  if (log) {
    if (logs.has(log)) throw new CheckpointError('signer_twice')
    verifyLogLine(blob, text, log)
    logs.add(log)
  }
  for (const [witness, key] of policy.witnesses) {
    if (!isSignedBy(key, name, blob)) continue
    if (cosigned.has(witness)) throw new CheckpointError('signer_twice')
    cosigned.set(witness, verifyCosignature(blob, text, key))
  }
}

/** One line apart from its note, as evidence holds it: `text` is what the owner of `key` signed. Throws CheckpointError. */
export function verifyCosignatureLine(line: string, text: string, key: VerifierKey): void {
  const [, name, encoded] = SIGNATURE_LINE.exec(line) ?? []
  if (name === undefined || encoded === undefined) throw new CheckpointError('signature_line')
  const blob = decodeOr(encoded, 'signature_line')
  if (!isSignedBy(key, name, blob)) throw new CheckpointError('signature')
  verifyCosignature(blob, text, key)
}

function verifyLogLine(blob: Uint8Array, text: string, key: VerifierKey): void {
  if (blob.length !== KEY_ID_BYTES + SIGNATURE_BYTES) throw new CheckpointError('signature_length')
  if (!isValid(blob.slice(KEY_ID_BYTES), encodeUtf8(text), key)) throw new CheckpointError('signature')
}

/** Returns the stated time in seconds. */
function verifyCosignature(blob: Uint8Array, text: string, key: VerifierKey): number {
  if (blob.length !== KEY_ID_BYTES + TIME_BYTES + SIGNATURE_BYTES) throw new CheckpointError('signature_length')
  const view = new DataView(concat(blob).buffer)
  const time = view.getUint32(KEY_ID_BYTES) * 2 ** 32 + view.getUint32(KEY_ID_BYTES + 4)
  const message = encodeUtf8(`cosignature/v1\ntime ${time}\n${text}`)
  const isSafe = Number.isSafeInteger(time)
  if (!isSafe || !isValid(blob.slice(KEY_ID_BYTES + TIME_BYTES), message, key)) throw new CheckpointError('signature')
  return time
}

function isValid(signature: Uint8Array, message: Uint8Array, key: VerifierKey): boolean {
  return isMemberSignature(signature, message, key.key)
}

/** Ed25519 as all verifiers of a log check it. */
export function isMemberSignature(signature: Uint8Array, message: Uint8Array, key: Uint8Array): boolean {
  try {
    // RFC 8032, not ZIP 215: no small-order keys, canonical encodings only, as the other verifiers do. And the library's
    // equation is the one with the cofactor, which hides a point of small order in R: they would refuse that.
    const holds = ed25519.verify(signature, message, key, { zip215: false })
    return holds && ed25519.Point.fromBytes(signature.slice(0, POINT_BYTES)).isTorsionFree()
  } catch {
    return false
  }
}

function decodeOr(text: string, fault: CheckpointFault): Uint8Array {
  try {
    return decodeBase64(text)
  } catch {
    throw new CheckpointError(fault)
  }
}
