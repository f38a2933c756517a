/**
 * Whether the organisations agree: who signed the newest checkpoint, and who is known to have contradicted itself. All
 * nodes are asked. What this phone can verify it verifies; the rest is told as what it is, the word of whoever said it.
 */

import { equal } from '../core/bytes'
import { CheckpointError, verifyCheckpoint, type PolicySource, type VerifiedCheckpoint } from '../core/checkpoint'
import { EvidenceError, readEvidence, verifySplitEvidence, type Offence } from '../core/evidence'
import { encodeBase64Url } from '../core/base64'
import { decodeHex } from '../core/hex'
import { gradeOf, type Policy } from '../core/policy'
import { verifyRetiredEvidence } from '../core/retirement'
import type { Era } from '../core/succession'
import { api } from './api'
import type { NodeAddress } from './api-types'
import { doubt, observe, seenCheckpoint } from './checkpoints'
import type { KnownEvidence } from './generated'
import { call } from './platform'
import { splits } from './splits'
import { addresses, estate, TrustAlarm, trustedEras, trustedPolicies, trustedPolicy } from './trust'

export interface Accusation {
  readonly id: string
  readonly offence: Offence
  /** Id of the organisation. */
  readonly member: string
  /** Block of the log that names it for this, 0 as long as none does. By the word of those who said it. */
  readonly height: number
  readonly packed: string
  /** This phone verified it. */
  readonly isProven: boolean
  /** Ids of the organisations whose nodes show it. */
  readonly saidBy: readonly string[]
}

export interface Agreement {
  /** `some`: a quorum signed the newest checkpoint. `unknown`: not even that was seen, or something does not fit yet. */
  readonly state: 'all' | 'some' | 'split' | 'unknown'
  /** Ids of the organisations that signed the newest checkpoint, and of those that did not yet. */
  readonly signed: readonly string[]
  readonly missing: readonly string[]
  /** One an organisation, the best proven; and one for retired keys of it. */
  readonly accusations: readonly Accusation[]
}

/** No more is looked at of what one node says: honest ones have one for each culprit, or a few. */
const CLAIMS_MAX = 16
/** Who is alone with what nobody can verify here may be the one that lies. */
const VOICES_MIN = 2

/** Asks all nodes. Throws TrustAlarm when two histories come to light. */
export async function askAgreement(): Promise<Agreement> {
  const [policy, nodes, { genesis_sha256, nodes: organisations }] = [await trustedPolicy(), await addresses(), await estate()]
  const known = { policy, eras: trustedEras(), clusterId: encodeBase64Url(decodeHex(genesis_sha256)) }
  const [notes, claims] = await Promise.all([gatherNotes(nodes), Promise.all(nodes.map((one) => gather(one, known)))])
  const signers = newestSigners(notes, await trustedPolicies())
  const members = organisations.map((one) => one.id).filter((id) => policy.witnesses.has(id))
  const signed = members.filter((id) => signers.has(id))
  const missing = members.filter((id) => !signers.has(id))
  const accusations = onePerMember(merge(claims.flat()))
  const isSplit = splits().length > 0 || accusations.some((one) => isKnown(one) && !isOfRetiredKey(one))
  return { state: isSplit ? 'split' : stateOf(signers, missing, policy), signed, missing, accusations }
}

/** Verified here, or said by more than one. */
export const isKnown = ({ isProven, saidBy }: Accusation): boolean => isProven || saidBy.length >= VOICES_MIN

/** The ledger is one all the same: whatever that key signs counts for nothing. */
export const isOfRetiredKey = ({ offence }: Accusation): boolean => offence === 'retired_key'

function stateOf(signers: ReadonlySet<string>, missing: readonly string[], policy: Policy): Agreement['state'] {
  if (doubt() || gradeOf(policy, signers) === null) return 'unknown'
  return missing.length === 0 ? 'all' : 'some'
}

/** Checkpoints that fit what this phone saw, and the newest that it saw. */
async function gatherNotes(nodes: readonly NodeAddress[]): Promise<string[]> {
  const notes = await Promise.all(nodes.map(tellNote))
  const seen = seenCheckpoint()
  return [...notes.filter((note) => note !== undefined), ...(seen ? [seen.note] : [])]
}

async function tellNote(node: NodeAddress): Promise<string | undefined> {
  try {
    const told = await api.checkpoint(node, seenCheckpoint()?.size ?? 0)
    return (await observe(told, node.id)) === 'unproven' ? undefined : told.note
  } catch (error) {
    if (error instanceof TrustAlarm) throw error
    return undefined
  }
}

/** Nodes may hold different lines of one checkpoint: together they show who signed it. */
function newestSigners(notes: readonly string[], policy: PolicySource): ReadonlySet<string> {
  const verified = notes.map((note) => verifyOrSkip(note, policy)).filter((one) => one !== undefined)
  const newest = verified.reduce<VerifiedCheckpoint | undefined>(
    (best, one) => (best && best.size >= one.size ? best : one),
    undefined,
  )
  const same = verified.filter((one) => newest && one.size === newest.size && equal(one.root, newest.root))
  return new Set(same.flatMap((one) => [...one.cosigned.keys()]))
}

function verifyOrSkip(note: string, policy: PolicySource): VerifiedCheckpoint | undefined {
  try {
    return verifyCheckpoint(note, policy)
  } catch (error) {
    if (error instanceof CheckpointError) return undefined
    throw error
  }
}

/** What one node shows. Nothing when it is away; what is no evidence even by its shape is left out. */
async function gather(node: NodeAddress, known: Known): Promise<Accusation[]> {
  try {
    const { evidence } = await api.knownEvidence(node)
    return evidence.slice(0, CLAIMS_MAX).flatMap((claim) => readClaim(claim, node.id, known) ?? [])
  } catch {
    return []
  }
}

/** What this phone trusts of members: those of now, and all eras once there was more than one. */
interface Known {
  readonly policy: Policy
  readonly eras: readonly Era[]
  readonly clusterId: string
}

function readClaim({ height, packed }: KnownEvidence, node: string, known: Known): Accusation | undefined {
  try {
    const evidence = readEvidence(packed)
    const { culprit: member, id, offence } = evidence
    if (!Number.isSafeInteger(height) || height < 0) return undefined
    if (offence !== 'retired_key' && !known.policy.witnesses.has(member)) return undefined
    const isProven = offence === 'split_checkpoint' || offence === 'retired_key'
    if (offence === 'split_checkpoint') verifySplitEvidence(evidence, known.policy)
    if (offence === 'retired_key') verifyRetiredEvidence(evidence, known.eras, known.clusterId)
    return { id, offence, member, height, packed, isProven, saidBy: [node] }
  } catch (error) {
    if (error instanceof EvidenceError) return undefined
    throw error
  }
}

/** A node that is behind does not know the block yet that another one shows. */
function merge(claims: readonly Accusation[]): Accusation[] {
  const merged = new Map<string, Accusation>()
  for (const claim of claims) {
    const known = merged.get(claim.id) ?? { ...claim, saidBy: [] }
    const saidBy = [...new Set([...known.saidBy, ...claim.saidBy])]
    merged.set(claim.id, { ...known, saidBy, height: Math.max(known.height, claim.height) })
  }
  return [...merged.values()]
}

function onePerMember(accusations: readonly Accusation[]): Accusation[] {
  const best = new Map<string, Accusation>()
  for (const one of accusations) {
    const what = isOfRetiredKey(one) ? `${one.member} ${one.offence}` : one.member
    const other = best.get(what)
    if (!other || weightOf(one) > weightOf(other)) best.set(what, one)
  }
  return [...best.values()]
}

/** What was verified outweighs any number of voices; of equals the one that the log names. */
const weightOf = ({ height, isProven, saidBy }: Accusation): number =>
  (isProven ? 1_000 : 0) + saidBy.length * 2 + (height > 0 ? 1 : 0)

/** The whole proof as a file: whoever has the members' keys can check it. */
export async function exportAccusation({ height, id, member, offence, packed }: Accusation): Promise<void> {
  const fileName = `linli-evidence-${member}.txt`
  const filePath = `${wx.env.USER_DATA_PATH}/${fileName}`
  const data = JSON.stringify({ id, offence, member, height, packed }, null, 1)
  const files = wx.getFileSystemManager()
  await call(files.writeFile.bind(files), { filePath, data, encoding: 'utf8' })
  await call(wx.shareFileMessage, { filePath, fileName })
}
