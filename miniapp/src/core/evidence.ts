/**
 * Evidence that a member contradicted itself (consensus.md 1.4), as nodes keep, hash and order it: length-prefixed
 * parts. What a split of checkpoints proves is verified here with the policy alone; the statements of the other
 * offences are signed by keys that no policy names, so of them only the shape is read.
 */

import { decodeBase64Url, encodeBase64, encodeBase64Url } from './base64'
import { isJsonObject, parseCanonicalBytes, type JsonObject } from './canonical'
import { verifyCosignatureLine } from './checkpoint'
import { DIGEST_BYTES, sha256 } from './digest'
import type { Policy } from './policy'
import { verifyContradiction, type Branch } from './split'
import { decodeUtf8 } from './utf8'

export class EvidenceError extends Error {}

export const OFFENCES = ['double_vote', 'double_new_view', 'hidden_vote', 'split_checkpoint'] as const
export type Offence = (typeof OFFENCES)[number]

export interface Statement {
  readonly type: string
  readonly raw: Uint8Array
  readonly signature: Uint8Array
}

export interface Evidence {
  /** SHA-256 of its bytes, in base64url: the log names it by this. */
  readonly id: string
  readonly offence: Offence
  readonly culprit: string
  readonly first: Statement
  readonly second: Statement
  readonly branches: readonly Uint8Array[]
}

const PACKED_BYTES_MAX = 64 * 1024
const PREFIX_BYTES = 4
/** Without branches, and with two of them. */
const PART_COUNTS: readonly number[] = [8, 10]

/** The evidence of its bytes in base64url: shape only. Throws EvidenceError. */
export function readEvidence(packed: string): Evidence {
  const bytes = attempt(() => decodeBase64Url(packed))
  if (bytes.length > PACKED_BYTES_MAX) throw new EvidenceError('too large')
  const parts = unpack(bytes)
  if (!PART_COUNTS.includes(parts.length)) throw new EvidenceError('eight parts, or ten')
  const word = (at: number): string => attempt(() => decodeUtf8(parts[at]!))
  const offence = OFFENCES.find((one) => one === word(0))
  if (!offence) throw new EvidenceError('no such offence')
  const statement = (at: number): Statement => ({ type: word(at), raw: parts[at + 1]!, signature: parts[at + 2]! })
  const id = encodeBase64Url(sha256(bytes))
  return { id, offence, culprit: word(1), first: statement(2), second: statement(5), branches: parts.slice(8) }
}

/** Each part stands behind its length as an unsigned 32-bit big-endian integer. */
function unpack(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const parts: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    if (at + PREFIX_BYTES > bytes.length || parts.length === 10) throw new EvidenceError('cut short, or too many parts')
    const begin = at + PREFIX_BYTES
    at = begin + view.getUint32(at)
    if (at > bytes.length) throw new EvidenceError('cut short')
    parts.push(bytes.slice(begin, at))
  }
  return parts
}

/** Throws EvidenceError unless the culprit, a witness of the policy, signed two checkpoints that contradict each other. */
export function verifySplitEvidence({ offence, culprit, first, second, branches }: Evidence, policy: Policy): void {
  if (offence !== 'split_checkpoint') throw new EvidenceError('not of checkpoints')
  attempt(() => {
    const [one, other] = [readLine(first, culprit, policy), readLine(second, culprit, policy)]
    // One contradiction has one id: nodes refuse the other order.
    if (decodeUtf8(first.raw) >= decodeUtf8(second.raw)) throw new EvidenceError('order')
    verifyContradiction(one, other, branches.map(readBranch))
  })
}

function readLine({ type, raw, signature }: Statement, culprit: string, policy: Policy) {
  const { line, member, root, size } = readObject(raw, ['line', 'member', 'root', 'size'])
  if (type !== 'COSIGN' || signature.length > 0 || member !== culprit) throw new EvidenceError('not a line of the culprit')
  const key = policy.witnesses.get(culprit)
  if (!key || typeof line !== 'string' || typeof root !== 'string' || !isCount(size)) throw new EvidenceError('line')
  const tree = { size, root: decodeBase64Url(root) }
  if (tree.root.length !== DIGEST_BYTES) throw new EvidenceError('root')
  verifyCosignatureLine(line, `${policy.origin}\n${size}\n${encodeBase64(tree.root)}\n`, key)
  return tree
}

function readBranch(raw: Uint8Array): Branch {
  const { index, leaf, proof } = readObject(raw, ['index', 'leaf', 'proof'])
  if (!isCount(index) || typeof leaf !== 'string' || !Array.isArray(proof)) throw new EvidenceError('branch')
  return { index, leaf, proof: proof.map(String) }
}

function readObject(raw: Uint8Array, names: readonly string[]): JsonObject {
  const value = parseCanonicalBytes(raw)
  if (!isJsonObject(value) || Object.keys(value).join() !== names.join()) throw new EvidenceError('members')
  return value
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0

/** Whatever is wrong inside, it is no evidence. */
function attempt<Value>(action: () => Value): Value {
  try {
    return action()
  } catch (error) {
    throw error instanceof EvidenceError ? error : new EvidenceError((error as Error).message)
  }
}
