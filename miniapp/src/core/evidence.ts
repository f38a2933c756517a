/**
 * Evidence that a member contradicted itself (consensus.md 1.4), as nodes keep, hash and order it: length-prefixed
 * parts. What a split of checkpoints proves is verified here with the policy alone, what a retired key signed in
 * `retirement`; votes are signed by consensus keys, which genesis and the links from it name: without those, of votes
 * only the shape is read.
 */

import { decodeBase64Url, encodeBase64, encodeBase64Url } from './base64'
import { isJsonObject, parseCanonicalBytes, type Json, type JsonObject } from './canonical'
import { concat, equal } from './bytes'
import { isMemberSignature, policyFor, verifyCosignatureLine, type PolicySource } from './checkpoint'
import { DIGEST_BYTES, sha256 } from './digest'
import { verifyContradiction, type Branch } from './split'
import { decodeUtf8, encodeUtf8 } from './utf8'

export class EvidenceError extends Error {}

export const OFFENCES = ['double_vote', 'double_new_view', 'hidden_vote', 'split_checkpoint', 'retired_key'] as const
export type Offence = (typeof OFFENCES)[number]

/** What genesis and its links add to a policy: the cluster's id in base64url, and the members' consensus keys. */
export interface ConsensusKeys {
  readonly clusterId: string
  /** The key that a member votes with in an epoch, in base64url. */
  readonly keyOf: (epoch: number, member: string) => string | undefined
}

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
/** Without branches, and with two of them; of a retired key with one at most, which shows what it followed. */
const PART_COUNTS: readonly number[] = [8, 10]
const PART_COUNTS_OF_KEY: readonly number[] = [8, 9]

/** The evidence of its bytes in base64url: shape only. Throws EvidenceError. */
export function readEvidence(packed: string): Evidence {
  const bytes = attempt(() => decodeBase64Url(packed))
  if (bytes.length > PACKED_BYTES_MAX) throw new EvidenceError('too large')
  const parts = unpack(bytes)
  const word = (at: number): string => attempt(() => decodeUtf8(parts[at] ?? new Uint8Array()))
  const offence = OFFENCES.find((one) => one === word(0))
  if (!offence) throw new EvidenceError('no such offence')
  const counts = offence === 'retired_key' ? PART_COUNTS_OF_KEY : PART_COUNTS
  if (!counts.includes(parts.length)) throw new EvidenceError('eight parts, or ten')
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
export function verifySplitEvidence({ offence, culprit, first, second, branches }: Evidence, policy: PolicySource): void {
  if (offence !== 'split_checkpoint') throw new EvidenceError('not of checkpoints')
  attempt(() => {
    const [one, other] = [readLine(first, culprit, policy), readLine(second, culprit, policy)]
    // One contradiction has one id: nodes refuse the other order.
    if (decodeUtf8(first.raw) >= decodeUtf8(second.raw)) throw new EvidenceError('order')
    verifyContradiction(one, other, branches.map(readBranch))
  })
}

/** Whether it was verified: votes are not without keys. Throws EvidenceError unless it bars the culprit. */
export function verifyEvidence(evidence: Evidence, policy: PolicySource, keys: ConsensusKeys | undefined): boolean {
  if (evidence.offence === 'split_checkpoint') verifySplitEvidence(evidence, policy)
  else if (keys) attempt(() => verifyVotes(evidence, keys))
  else return false
  return true
}

/** Members of the statements, and in CONTRADICTS which two of them no honest member makes (consensus.md 1.4, E1-E3). */
const SHAPES: Readonly<Record<string, readonly string[]>> = {
  PREPARE: ['block_id', 'epoch', 'height', 'sender', 'view'],
  COMMIT: ['block_id', 'epoch', 'height', 'new_view', 'sender', 'view'],
  'VIEW-CHANGE': ['epoch', 'last_block', 'last_height', 'prepared_block', 'prepared_view', 'sender', 'view'],
  'NEW-VIEW': ['base_height', 'block_id', 'epoch', 'sender', 'view', 'view_changes'],
}
const COUNTS = new Set(['base_height', 'epoch', 'height', 'last_height', 'prepared_view', 'view'])
const MAY_BE_EMPTY = new Set(['last_block', 'new_view', 'prepared_block'])

interface Vote {
  readonly type: string
  readonly raw: Uint8Array
  readonly body: JsonObject
}

function verifyVotes({ offence, culprit, first, second, branches }: Evidence, keys: ConsensusKeys): void {
  const [one, other] = [readVote(first, culprit, keys), readVote(second, culprit, keys)]
  const isOne = branches.length === 0 && one.body['epoch'] === other.body['epoch']
  if (!isOne || !CONTRADICTS[offence](one, other)) throw new EvidenceError('the statements do not contradict each other')
  // One contradiction has one id: nodes refuse the other order. A vote stands before what hides it.
  const isOrdered = offence === 'hidden_vote' || decodeUtf8(one.raw) < decodeUtf8(other.raw)
  if (!isOrdered) throw new EvidenceError('order')
}

const CONTRADICTS: Readonly<Record<Offence, (one: Vote, other: Vote) => boolean>> = {
  double_vote: (one, other) =>
    isVote(one) && isVote(other) && isSame(['view', 'height'], one, other) && !isSame(['block_id'], one, other),
  double_new_view: (one, other) =>
    one.type === 'NEW-VIEW' && other.type === 'NEW-VIEW' && isSame(['view'], one, other) && !equal(one.raw, other.raw),
  hidden_vote: hides,
  split_checkpoint: () => false,
  retired_key: () => false,
}

const isVote = ({ type }: Vote): boolean => type === 'PREPARE' || type === 'COMMIT'

const isSame = (names: readonly string[], one: Vote, other: Vote): boolean =>
  names.every((name) => one.body[name] === other.body[name])

/** A VIEW-CHANGE that tells neither the block of an earlier COMMIT nor a later view's. */
function hides(vote: Vote, change: Vote): boolean {
  const of = ({ body }: Vote, name: string): number => Number(body[name])
  if (vote.type !== 'COMMIT' || change.type !== 'VIEW-CHANGE') return false
  if (of(change, 'view') <= of(vote, 'view') || of(change, 'last_height') >= of(vote, 'height')) return false
  const tells = change.body['prepared_block'] !== '' && of(change, 'last_height') + 1 === of(vote, 'height')
  return !(tells && of(change, 'prepared_view') >= of(vote, 'view'))
}

function readVote({ type, raw, signature }: Statement, culprit: string, { clusterId, keyOf }: ConsensusKeys): Vote {
  const shape = SHAPES[type]
  if (!shape) throw new EvidenceError('no vote')
  const body = readObject(raw, shape)
  for (const name of shape) checkMember(type, name, body[name])
  const key = keyOf(Number(body['epoch']), culprit)
  const message = concat(encodeUtf8(`linli/pbft/v1\n${type}\n${clusterId}\n`), raw)
  const isSigned = key !== undefined && isMemberSignature(signature, message, decodeBase64Url(key))
  if (body['sender'] !== culprit || !isSigned) throw new EvidenceError('not signed by the culprit')
  return { type, raw, body }
}

function checkMember(type: string, name: string, value: Json | undefined): void {
  const mayBeEmpty = MAY_BE_EMPTY.has(name) || (type === 'NEW-VIEW' && name === 'block_id')
  if (name === 'sender' || (mayBeEmpty && value === '')) return
  if (COUNTS.has(name)) {
    if (!isCount(value)) throw new EvidenceError(name)
    return
  }
  const digests = name === 'view_changes' && Array.isArray(value) ? value : [value]
  const areDigests = digests.every((one) => typeof one === 'string' && decodeBase64Url(one).length === DIGEST_BYTES)
  if (!areDigests) throw new EvidenceError(name)
}

function readLine({ type, raw, signature }: Statement, culprit: string, policies: PolicySource) {
  const { line, member, root, size } = readObject(raw, ['line', 'member', 'root', 'size'])
  if (type !== 'COSIGN' || signature.length > 0 || member !== culprit) throw new EvidenceError('not a line of the culprit')
  if (typeof line !== 'string' || typeof root !== 'string' || !isCount(size)) throw new EvidenceError('line')
  const policy = policyFor(policies, size)
  const key = policy.witnesses.get(culprit)
  if (!key) throw new EvidenceError('nobody waits for that line')
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
