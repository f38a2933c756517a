/**
 * Two histories of one ledger: finding the proof in what nodes show and in one's own receipts, keeping it, and giving it
 * to everybody: the nodes that can be reached, and people.
 */

import { equal } from '../core/bytes'
import type { PolicySource, VerifiedCheckpoint } from '../core/checkpoint'
import { readBranch } from '../core/receipt'
import { branchText, verifySplit, type Split } from '../core/split'
import { abandonedBy } from '../core/succession'
import { firstDifference, TileTree, type TreeBranch } from '../core/tiles'
import { api } from './api'
import { ApiProblem, fetchBytes } from './http'
import { call } from './platform'
import { store } from './store'
import type { Fork } from './generated'
import { knownAddresses, liftForkAlarm, provenSoFar } from './trust'

export interface KeptSplit extends Split {
  readonly foundMs: number
  /** Ids of the nodes that have it. */
  readonly sent: readonly string[]
}

const KEPT_MAX = 8
const RECEIPTS_LOOKED_AT = 20
const TILE_MS = 10_000

/** Proof that both checkpoints cannot be of one history; null as long as there is none. */
export async function findSplit(
  before: VerifiedCheckpoint,
  told: VerifiedCheckpoint,
  policy: PolicySource,
): Promise<Split | null> {
  const candidates =
    before.size === told.size ? [{ notes: [before.note, told.note], proofs: [] } as const] : compare(before, told)
  for await (const split of candidates) if (proves(split, policy)) return split
  return null
}

async function* compare(before: VerifiedCheckpoint, told: VerifiedCheckpoint): AsyncGenerator<Split> {
  const [ours, theirs] = await Promise.all([openTree(before), openTree(told)])
  if (!theirs) return
  if (ours) {
    const split = await quiet(() => compareTrees(before.note, ours, told.note, theirs))
    if (split) yield split
  }
  // Whoever changed a history no longer shows it: this phone's receipts are branches of the one it saw.
  for (const { id } of (store.read('receipts') ?? []).slice(0, RECEIPTS_LOOKED_AT)) {
    const split = await quiet(() => compareReceipt(id, told, theirs))
    if (split) yield split
  }
}

async function compareTrees(note: string, tree: TileTree, otherNote: string, other: TileTree): Promise<Split | null> {
  const index = await firstDifference(tree, other)
  if (index === null) return null
  return splitOf(note, await tree.branch(index), otherNote, await other.branch(index))
}

async function compareReceipt(id: string, told: VerifiedCheckpoint, theirs: TileTree): Promise<Split | null> {
  const text = store.readReceipt(id)
  if (text === undefined) return null
  const { branch, note } = readBranch(text)
  if (branch.index >= told.size) return null
  const other = await theirs.branch(branch.index)
  return equal(branch.leaf, other.leaf) ? null : splitOf(note, branch, told.note, other)
}

function splitOf(note: string, branch: TreeBranch, otherNote: string, other: TreeBranch): Split {
  return { notes: [note, otherNote], proofs: [branchText(branch), branchText(other)] }
}

function proves(split: Split, policy: PolicySource): boolean {
  try {
    verifySplit(split, policy)
    return true
  } catch {
    return false
  }
}

/** The tree of this root, from the first node whose tiles lead to it. */
async function openTree({ size, root }: VerifiedCheckpoint): Promise<TileTree | undefined> {
  for (const node of knownAddresses()) {
    const tree = new TileTree(size, (path) => fetchBytes(node.url + path, TILE_MS))
    const found = await quiet(() => tree.root())
    if (found && equal(found, root)) return tree
  }
  return undefined
}

/** null for whatever a node does not show, or shows wrongly. */
async function quiet<Result>(action: () => Promise<Result>): Promise<Result | null> {
  try {
    return await action()
  } catch {
    return null
  }
}

export const splits = (): readonly KeptSplit[] => store.read('splits') ?? []

/** Kept for good: what was found first stays. */
export function keepSplit({ notes, proofs }: Split): void {
  const known = splits()
  if (known.length >= KEPT_MAX || known.some((one) => one.notes.join() === notes.join())) return
  store.write('splits', [...known, { notes, proofs, foundMs: Date.now(), sent: [] }])
}

/** Gives every node what it does not have yet; a node that is away, or takes no such thing, is asked again next time. */
export async function sendSplits(): Promise<void> {
  for (const node of knownAddresses()) {
    for (const { notes, proofs } of splits().filter((one) => !one.sent.includes(node.id))) {
      const taken = await api.evidence(node, { notes, proofs }).then(
        () => true,
        (error: unknown) => error instanceof ApiProblem && error.status === 409,
      )
      if (taken) markSent(notes, node.id)
    }
  }
}

/** Asks whether operators have resolved the fork that was found here; then the phone goes on with what they kept. */
export function settleFork(): Promise<boolean> {
  return liftForkAlarm((eras) => splits().some(({ notes }) => notes.some((note) => abandonedBy(eras, note).length > 0)))
}

/** Whether what was found here is the fork that operators have resolved: nobody needs to stop for it any more. */
export const isSettled = (): boolean =>
  splits().every(({ notes }) => notes.some((note) => abandonedBy(provenSoFar(), note).length > 0))

/** Forks that were resolved, as the first node tells that answers; none when nobody does. */
export async function resolvedForks(): Promise<readonly Fork[]> {
  for (const node of knownAddresses()) {
    const told = await quiet(() => api.forks(node))
    if (told) return told.forks
  }
  return []
}

function markSent(notes: Split['notes'], node: string): void {
  const marked = splits().map((one) =>
    one.notes.join() === notes.join() && !one.sent.includes(node) ? { ...one, sent: [...one.sent, node] } : one,
  )
  store.write('splits', marked)
}

/** For a picture of a code: the first three lines of both statements, which is what contradicts. */
export function splitCode({ notes }: Split): string {
  return notes.map((note) => note.split('\n').slice(0, 3).join('\n')).join('\n\n')
}

/** The whole proof as a file that anybody can check with the policy of the estate. */
export async function exportSplits(): Promise<void> {
  const filePath = `${wx.env.USER_DATA_PATH}/linli-evidence.txt`
  const data = JSON.stringify(
    splits().map(({ notes, proofs }) => ({ notes, proofs })),
    null,
    1,
  )
  const files = wx.getFileSystemManager()
  await call(files.writeFile.bind(files), { filePath, data, encoding: 'utf8' })
  await call(wx.shareFileMessage, { filePath, fileName: 'linli-evidence.txt' })
}
