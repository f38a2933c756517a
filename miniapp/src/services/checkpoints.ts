/**
 * This phone as a witness of the ledger (ledger.md 4.6): it keeps the newest checkpoint that it verified, takes a newer
 * one only with the proof that it continues the one before, and regularly asks a second organisation. A missing proof is
 * a doubt, looked into again; only two contradictory signed statements are an alarm (consensus.md 1.4).
 */

import { decodeBase64Url } from '../core/base64'
import { equal } from '../core/bytes'
import { CheckpointError, verifyCheckpoint, type VerifiedCheckpoint } from '../core/checkpoint'
import { encodeHex } from '../core/hex'
import { verifyConsistency } from '../core/merkle'
import { isBetter, type Grade } from '../core/policy'
import { abandonedBy } from '../core/succession'
import { api, type ToldCheckpoint } from './api'
import type { NodeAddress } from './api-types'
import { nodesInOrder } from './nodes'
import { findSplit, keepSplit, sendSplits } from './splits'
import { store } from './store'
import { estate, knownEstate, provenSoFar, raiseAlarm, trustedPolicies, TrustAlarm } from './trust'

export interface SeenCheckpoint {
  readonly size: number
  /** In hex. */
  readonly root: string
  readonly grade: Grade
  readonly note: string
  readonly atMs: number
}

/** A checkpoint that nobody could connect with ours yet, and who told it. */
export interface Doubt {
  readonly note: string
  readonly node: string
  readonly atMs: number
}

export type Finding = 'newer' | 'known' | 'unproven'

const DAY_MS = 86_400_000
const CROSS_CHECK_CHANCE = 0.1
/** An app that comes to the front again and again asks once a minute. */
const CONTACT_MS = 60_000

export function seenCheckpoint(): SeenCheckpoint | undefined {
  const cluster = knownEstate()?.cluster_id
  return cluster === undefined ? undefined : store.read('seen')?.[cluster]
}

export const doubt = (): Doubt | undefined => store.read('doubt')

/** One after the other: two answers at once must not put back what the other has kept. */
let turn: Promise<unknown> = Promise.resolve()

/**
 * Takes a checkpoint that `node` told, if it is signed and continues what this phone saw; what was seen is never put
 * back. Throws TrustAlarm once two histories are proven; the proof is kept and sent to everybody who can be reached.
 */
export function observe(told: ToldCheckpoint, node = ''): Promise<Finding> {
  const result = turn.then(() => judge(told, node))
  turn = result.catch(() => undefined)
  return result
}

async function judge({ note, proof }: ToldCheckpoint, node: string): Promise<Finding> {
  const policy = await trustedPolicies()
  const told = verifySigned(() => verifyCheckpoint(note, policy))
  if (!told?.grade) return 'unproven'
  const seen = seenCheckpoint()
  if (!seen) return keep(told, told.grade)
  // What this phone saw was of a branch that operators have abandoned: it is not to be continued.
  if (abandonedBy(provenSoFar(), seen.note).length > 0) return keep(told, told.grade)
  const before = verifyCheckpoint(seen.note, policy)
  if (await isContinued(before, told, proof)) return settle(seen, told, told.grade)
  const split = await findSplit(before, told, policy)
  if (!split) return keepDoubt(note, node)
  keepSplit(split)
  // Whether it arrives or not, this phone stops here; the page of the proof sends it again.
  void sendSplits().catch(() => undefined)
  raiseAlarm('fork')
}

/** null when it is not signed as it should be: that proves nothing but that somebody told us nonsense. */
function verifySigned(verify: () => VerifiedCheckpoint): VerifiedCheckpoint | null {
  try {
    return verify()
  } catch (error) {
    if (error instanceof CheckpointError) return null
    throw error
  }
}

function settle(seen: SeenCheckpoint, told: VerifiedCheckpoint, grade: Grade): Finding {
  if (doubt()?.note === told.note) store.remove('doubt')
  const isMore = told.size > seen.size || (told.size === seen.size && isBetter(grade, seen.grade))
  return isMore ? keep(told, grade) : 'known'
}

function keep({ note, root, size }: VerifiedCheckpoint, grade: Grade): Finding {
  const cluster = knownEstate()?.cluster_id
  if (cluster === undefined) return 'unproven'
  const seen: SeenCheckpoint = { size, root: encodeHex(root), grade, note, atMs: Date.now() }
  store.write('seen', { ...store.read('seen'), [cluster]: seen })
  return 'newer'
}

function keepDoubt(note: string, node: string): Finding {
  const known = doubt()
  if (!known) store.write('doubt', { note, node, atMs: Date.now() })
  return 'unproven'
}

interface Tree {
  readonly size: number
  readonly root: Uint8Array
}

/** Whether the larger of two trees is shown to begin with the smaller one, by what came along or by any node. */
export async function isContinued(one: Tree, other: Tree, given?: readonly Uint8Array[]): Promise<boolean> {
  const [older, newer] = one.size <= other.size ? [one, other] : [other, one]
  if (older.size === newer.size) return equal(older.root, newer.root)
  if (given && doesContinue(older, newer, given)) return true
  for (const node of await nodesInOrder()) {
    const proof = await proofFrom(node, older.size, newer.size)
    if (proof && doesContinue(older, newer, proof)) return true
  }
  return false
}

function doesContinue(older: Tree, newer: Tree, proof: readonly Uint8Array[]): boolean {
  try {
    verifyConsistency(older.size, newer.size, proof, older.root, newer.root)
    return true
  } catch {
    return false
  }
}

/** undefined when the node is away or behind, or what it says is no proof at all. */
async function proofFrom(node: NodeAddress, from: number, to: number): Promise<Uint8Array[] | undefined> {
  try {
    return (await api.consistency(node, from, to)).proof.map(decodeBase64Url)
  } catch {
    return undefined
  }
}

let contactMs = 0

/**
 * At each start of the app: the newest checkpoint of a node, of a second organisation once a day and in one of ten
 * visits, and a doubt once more. What it finds stands in the store, an alarm stops the next page. Throws NetworkError when
 * the estate was never met and nobody answers.
 */
export async function contact(nowMs = Date.now(), chance = Math.random()): Promise<void> {
  if (nowMs - contactMs < CONTACT_MS) return
  contactMs = nowMs
  const hasMet = await meetNodes(nowMs, chance).catch((error: unknown) => {
    if (error instanceof TrustAlarm) return true
    contactMs = 0
    throw error
  })
  // Without network it was no contact: the next one need not wait.
  if (!hasMet) contactMs = 0
}

/** Whether any node told a checkpoint that fits. */
async function meetNodes(nowMs: number, chance: number): Promise<boolean> {
  await estate()
  const nodes = await nodesInOrder()
  const first = await visitOne(nodes)
  if (first && isCrossCheckDue(nowMs, chance)) await crossCheck(nodes, first, nowMs)
  const left = doubt()
  if (left) await observe({ note: left.note }, left.node)
  return first !== undefined
}

function isCrossCheckDue(nowMs: number, chance: number): boolean {
  const last = store.read('crossed')
  return !last || nowMs - last.atMs >= DAY_MS || chance < CROSS_CHECK_CHANCE
}

/** The organisations take turns: each is asked sooner or later. */
async function crossCheck(nodes: readonly NodeAddress[], first: string, nowMs: number): Promise<void> {
  const last = nodes.findIndex((node) => node.id === store.read('crossed')?.node)
  const inTurn = [...nodes.slice(last + 1), ...nodes.slice(0, last + 1)].filter((node) => node.id !== first)
  const second = await visitOne(inTurn)
  if (second) store.write('crossed', { node: second, atMs: nowMs })
}

/** The first of these nodes whose checkpoint fits ours; undefined when none does. What does not fit is no answer. */
async function visitOne(nodes: readonly NodeAddress[]): Promise<string | undefined> {
  for (const node of nodes) {
    const told = await api.checkpoint(node, seenCheckpoint()?.size ?? 0).catch(() => undefined)
    if (!told) continue
    if ((await observe(told, node.id)) !== 'unproven') return node.id
  }
  return undefined
}
