/**
 * Receipts (DESIGN.md 2.5): tlog-proofs separated by lines `---`. The first proves the record and what was decided, the
 * second the `device.bind` that tied the signing key to its owner. A proof with evidence shows that the log bars a
 * member, whose signature is then not waited for. Verified here, on the phone, against the policy and, where a member's
 * votes are the evidence, the consensus keys of genesis; no server is asked.
 */

import { decodeBase64, decodeBase64Url, encodeBase64Url } from './base64'
import { equal } from './bytes'
import { canonicalText, isJsonObject, parseCanonicalBytes, type Json } from './canonical'
import { CheckpointError, parseCheckpoint, policyFor, verifyCheckpoint, type PolicySource, type VerifiedCheckpoint } from './checkpoint'
import { parseJwk, thumbprint, type PublicJwk } from './device-key'
import { parseEntry, type Entry } from './entry'
import { sha256 } from './digest'
import { readEvidence, verifyEvidence, type ConsensusKeys, type Offence } from './evidence'
import { encodeHex } from './hex'
import { verifyJws } from './jws'
import { leafHash, verifyInclusion } from './merkle'
import { gradeOf, isMember, type Grade } from './policy'
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
  | 'barring'

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
  /** Packed evidence, of a proof that bars a member. */
  readonly evidence?: Uint8Array
}

/** A member that the log bars. Without consensus keys, evidence of votes is not verified. */
export interface Barring {
  readonly culprit: string
  readonly offence: Offence
  readonly isVerified: boolean
}

/** `grade` neither counts nor waits for those whose barring was verified. */
export interface VerifiedReceipt extends ProvenEntry {
  /** False: signed by that key, but who holds it was not checked. */
  readonly ownerChecked: boolean
  readonly barrings: readonly Barring[]
}

const SEPARATOR = '\n---\n'
const VERSION = 'c2sp.org/tlog-proof@v1'
/** A record, a bind, and evidence against as many members as a cluster can have. */
const PROOFS_MAX = 2 + 16

/** `keys`: the consensus keys since genesis, for evidence of votes. Throws ReceiptError. */
export function verifyReceipt(text: string, policy: PolicySource, keys?: ConsensusKeys): VerifiedReceipt {
  const parts = text.split(SEPARATOR)
  if (parts.length > PROOFS_MAX) throw new ReceiptError('form', 'too many proofs')
  const texts = parts.map((part, at) => (at < parts.length - 1 ? part + '\n' : part))
  const first = verifyProof(texts[0]!, policy)
  if (first.evidence) throw new ReceiptError('barring', 'the first proof is of the record')
  const barrings: Barring[] = []
  let isBound = false
  texts.slice(1).forEach((part, place) => {
    const proof = verifyProof(part, policy)
    if (proof.evidence) barrings.push(checkBarring(first, proof, proof.evidence, policy, keys))
    else if (place > 0) throw new ReceiptError('form', 'more than one bind')
    else {
      checkBinding(first, proof)
      isBound = true
    }
  })
  const grade = gradeWithout(first, barrings, policy)
  return { ...first, grade, barrings, ownerChecked: isBound || bindsItself(first) }
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
  const { evidence } = extra
  const proven = { entry, leaf, checkpoint, grade: checkGrade(checkpoint), ...(evidence && { evidence }) }
  return 'record' in entry ? { ...proven, record: verifyRecord(entry.record, extra.deviceKey) } : proven
}

interface Extra {
  readonly entry: string
  readonly deviceKey?: Json | undefined
  readonly evidence?: Uint8Array
}

/** A record is signed by a device, evidence by members: never both. */
function readExtra(bytes: Uint8Array): Extra {
  const extra = attempt('extra', () => parseCanonicalBytes(bytes))
  if (!isJsonObject(extra) || typeof extra['entry'] !== 'string') throw new ReceiptError('extra', 'entry')
  const { entry, evidence } = extra
  const names = Object.keys(extra).join()
  if (names === 'entry,evidence' && typeof evidence === 'string') {
    return { entry, evidence: attempt('extra', () => decodeBase64Url(evidence)) }
  }
  if (names !== 'entry' && names !== 'device_key,entry') throw new ReceiptError('extra', 'members')
  return { entry, deviceKey: extra['device_key'] }
}

/** The member that this entry bars, by the evidence that the receipt itself carries. */
function checkBarring(
  first: ProvenEntry,
  { entry, checkpoint }: ProvenEntry,
  packed: Uint8Array,
  policy: PolicySource,
  keys: ConsensusKeys | undefined,
): Barring {
  const system = 'system' in entry ? entry.system : undefined
  const isBarring = system?.kind === 'evidence' && system.due_ms === 0 && entry.outcome === 'accepted'
  if (!isBarring) throw new ReceiptError('barring', 'not an entry of evidence')
  const isSame = checkpoint.size === first.checkpoint.size && equal(checkpoint.root, first.checkpoint.root)
  if (!isSame) throw new ReceiptError('barring', 'under another checkpoint than the record')
  return attempt('barring', () => {
    const evidence = readEvidence(encodeBase64Url(packed))
    const { culprit, id, offence, first: one, second: other } = evidence
    const statements = [one, other].map(({ raw }) => encodeBase64Url(sha256(raw)))
    const isNamed = system.key === id && canonicalText(system.body) === canonicalText({ culprit, offence, statements })
    if (!isNamed) throw new ReceiptError('barring', 'the entry names other evidence')
    const isVerified = verifyEvidence(evidence, policy, keys)
    if (!isMember(policyFor(policy, checkpoint.size), culprit)) throw new ReceiptError('barring', 'nobody waits for that signature')
    return { culprit, offence, isVerified }
  })
}

function gradeWithout({ checkpoint }: ProvenEntry, barrings: readonly Barring[], policies: PolicySource): Grade {
  const names = barrings.map((one) => one.culprit)
  if (new Set(names).size !== names.length) throw new ReceiptError('barring', 'a member is barred twice')
  const barred = new Set(barrings.filter((one) => one.isVerified).map((one) => one.culprit))
  const grade = gradeOf(policyFor(policies, checkpoint.size), new Set(checkpoint.cosigned.keys()), barred)
  if (grade === null) throw new ReceiptError('barring', 'without the barred members no quorum has signed')
  return grade
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
