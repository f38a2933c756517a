/**
 * The resolution of a fork (DESIGN.md D32): the operators of all members that are not proved guilty keep one branch, and
 * the next epoch begins with the entry in which they say so. What is checked here is the entry; that it stands in the
 * log behind the kept branch is for who follows the links.
 */

import { decodeBase64Url } from './base64'
import { concat } from './bytes'
import { canonicalBytes, canonicalText, isJsonObject, parseCanonical, type Json, type JsonObject } from './canonical'
import { isMemberSignature } from './checkpoint'
import type { Entry } from './entry'
import { findCulprits, type Accusable } from './guilt'
import { encodeUtf8 } from './utf8'

export class ResolutionError extends Error {}

export interface Resolution {
  readonly members: readonly JsonObject[]
  readonly keptBlock: string
  readonly keptHeight: number
  readonly keptSize: number
  /** Entries before the fork: what stands there stands on every branch. */
  readonly forkSize: number
  readonly heldBy: readonly string[]
  /** Honest members that held an abandoned branch: what they signed there with their old keys is not of the ledger. */
  readonly lostBy: readonly string[]
}

const KIND = 'fork.resolution'
const STATEMENT = 'linli/fork-resolution/v1\n'
const RENEWED = ['consensus_key', 'cosign_key']
const FIELDS = 'abandoned,culprits,epoch,evidence,fork_height,fork_size,kept,members,records'
const BRANCH = 'block_id,first,height,held_by,root,size'

/** The resolution in the entry that ends the epoch. Throws ResolutionError, EvidenceError. */
export function readResolution(entry: Entry, among: Accusable, numbers: Json, used: ReadonlySet<string>): Resolution {
  const system = 'system' in entry && entry.outcome === 'accepted' ? entry.system : undefined
  if (system?.kind !== KIND) throw new ResolutionError('neither a change of members nor the resolution of a fork')
  const said = objectOf(system.body['resolution'], FIELDS)
  if (said['epoch'] !== among.epoch || system.key !== String(among.epoch + 1)) throw new ResolutionError('of another epoch')
  const kept = objectOf(said['kept'], BRANCH)
  const lost = listOf(said['abandoned']).map((branch) => objectOf(branch, BRANCH))
  const culprits = checkEvidence(said, textsOf(system.body['evidence']), among)
  checkBranches(said, kept, lost)
  const heldBy = textsOf(kept['held_by'])
  const lostBy = lost.flatMap((branch) => textsOf(branch['held_by']))
  const sides = [...heldBy, ...culprits, ...lostBy].sort()
  const isEachOnce = sides.join() === among.members.map(idOf).sort().join() && heldBy.length > 0
  if (!isEachOnce) throw new ResolutionError('not every member stands once')
  const members = textsOf(said['members']).map((text) => objectOf(parseCanonical(text)))
  checkMembers(among.members, members, heldBy, culprits, used)
  const policy = objectOf(numbers)
  const few = Math.max(Number(policy['approvals']), Number(policy['attestations']))
  if (members.length < few) throw new ResolutionError('fewer members than the policy asks for')
  checkOperators(said, listOf(system.body['signatures']), among, culprits)
  return {
    members,
    keptBlock: String(kept['block_id']),
    keptHeight: Number(kept['height']),
    keptSize: Number(kept['size']),
    forkSize: Number(said['fork_size']),
    heldBy,
    lostBy,
  }
}

function checkEvidence(said: JsonObject, packed: readonly string[], among: Accusable): readonly string[] {
  const found = findCulprits(packed, among)
  const culprits = found.map((one) => one.culprit)
  const isSignedFor = found.map((one) => one.id).join() === textsOf(said['evidence']).join()
  const isAll = culprits.length > 0 && culprits.join() === textsOf(said['culprits']).join()
  const isSorted = culprits.join() === [...new Set(culprits)].sort().join()
  if (!isSignedFor || !isAll || !isSorted) throw new ResolutionError('not the evidence that was signed for')
  return culprits
}

function checkBranches(said: JsonObject, kept: JsonObject, lost: readonly JsonObject[]): void {
  const [height, size] = [Number(said['fork_height']), Number(said['fork_size'])]
  const counts = [said['fork_height'], said['fork_size'], kept['height'], kept['size']]
  const isPlaced = lost.length > 0 && counts.every((one) => Number.isSafeInteger(one) && Number(one) >= 0)
  const isAfter = [kept, ...lost].every((one) => Number(one['height']) >= height && Number(one['size']) > size)
  const isOther = lost.every((one) => one['first'] !== kept['first'] && one['block_id'] !== kept['block_id'])
  const isOnce = new Set(lost.map((one) => `${String(one['first'])} ${String(one['block_id'])}`)).size === lost.length
  if (!isPlaced || !isAfter || !isOther || !isOnce) throw new ResolutionError('the branches do not part there')
}

/** Who held the kept branch stays as it is; all others come back with new keys, or are culprits and leave. */
function checkMembers(
  before: readonly JsonObject[],
  after: readonly JsonObject[],
  heldBy: readonly string[],
  culprits: readonly string[],
  used: ReadonlySet<string>,
): void {
  const was = new Map(before.map((member) => [idOf(member), member]))
  const now = new Map(after.map((member) => [idOf(member), member]))
  const isSorted = after.map(idOf).join() === [...now.keys()].sort().join()
  if (!isSorted || [...now.keys()].some((id) => !was.has(id))) throw new ResolutionError('somebody joins')
  const stays = (id: string): boolean => now.has(id) && canonicalText(now.get(id)!) === canonicalText(was.get(id)!)
  if (!heldBy.every(stays)) throw new ResolutionError('who held the kept branch does not stay as it is')
  const isAnyLost = [...was.keys()].some((id) => !now.has(id) && !culprits.includes(id))
  if (isAnyLost) throw new ResolutionError('an honest member leaves')
  const back = [...now.keys()].filter((id) => !heldBy.includes(id))
  const isRenewed = back.every((id) => RENEWED.every((name) => now.get(id)![name] !== was.get(id)![name]))
  if (!isRenewed) throw new ResolutionError('old keys come back')
  const isSame = back.every((id) => canonicalText(withoutKeys(now.get(id)!)) === canonicalText(withoutKeys(was.get(id)!)))
  const fresh = back.flatMap((id) => RENEWED.map((name) => String(now.get(id)![name])))
  const isFresh = new Set(fresh).size === fresh.length && !fresh.some((key) => used.has(key))
  if (!isSame || !isFresh) throw new ResolutionError('a key is used again, or more than the keys changes')
}

/** Exactly the operators of all members that are not proved guilty. */
function checkOperators(said: JsonObject, lines: readonly Json[], among: Accusable, culprits: readonly string[]): void {
  const message = concat(
    encodeUtf8(STATEMENT),
    canonicalBytes({ cluster_id: among.clusterId, resolution: said }),
  )
  const keys = new Map(among.members.map((member) => [idOf(member), String(member['operator_key'])]))
  const signed = lines.map((line) => {
    const { node, signature } = objectOf(line)
    const key = decodeBase64Url(keys.get(String(node)) ?? '')
    const holds = isMemberSignature(decodeBase64Url(String(signature)), message, key)
    if (!holds) throw new ResolutionError(`the operator's signature of ${String(node)} does not hold`)
    return String(node)
  })
  const wanted = [...keys.keys()].filter((id) => !culprits.includes(id)).sort()
  if (signed.join() !== wanted.join()) throw new ResolutionError('not signed by exactly the operators of the others')
}

function objectOf(value: Json | undefined, names?: string): JsonObject {
  if (!isJsonObject(value) || (names && Object.keys(value).sort().join() !== names)) throw new ResolutionError('form')
  return value
}

function listOf(value: Json | undefined): readonly Json[] {
  if (!Array.isArray(value)) throw new ResolutionError('form')
  return value as readonly Json[]
}

const textsOf = (value: Json | undefined): readonly string[] => listOf(value).map(String)

const idOf = (member: JsonObject): string => String(member['id'])

const withoutKeys = (member: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(member).filter(([name]) => !RENEWED.includes(name)))
