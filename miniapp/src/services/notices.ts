/**
 * The sheet for the notice board: three lines of a checkpoint on paper are an anchor that no node can change. Printing
 * one, and holding a phone's own ledger against one that hangs there.
 */

import { decodeBase64 } from '../core/base64'
import { equal } from '../core/bytes'
import { verifyCheckpoint } from '../core/checkpoint'
import { DIGEST_BYTES } from '../core/digest'
import { TileTree } from '../core/tiles'
import { api } from './api'
import { isContinued, observe, seenCheckpoint } from './checkpoints'
import { fetchBytes, NetworkError } from './http'
import { nodesInOrder, tryNodes } from './nodes'
import { trustedPolicies, trustedPolicy } from './trust'

export interface Notice {
  /** Origin, size and root: what is printed, and what the code on the sheet says. */
  readonly lines: readonly [string, string, string]
  readonly size: number
  /** Names of the policy: who signed it. */
  readonly signers: readonly string[]
}

/** The newest checkpoint, verified and connected with what this phone saw. Throws NetworkError when no node tells one. */
export async function newestNotice(): Promise<Notice> {
  await tryNodes(async (node) => observe(await api.checkpoint(node, seenCheckpoint()?.size ?? 0), node.id))
  const seen = seenCheckpoint()
  if (!seen) throw new NetworkError('no checkpoint')
  const { cosigned, size } = verifyCheckpoint(seen.note, await trustedPolicies())
  return { lines: linesOf(seen.note)!, size, signers: [...cosigned.keys()] }
}

/** `unproven`: nobody could show it now. `other`: not a sheet of this estate. */
export type Comparison = 'same' | 'differs' | 'unproven' | 'other'

/** Holds what a sheet says against this phone's ledger. A sheet is not signed: it raises questions, never the alarm. */
export async function compareNotice(text: string): Promise<Comparison> {
  const seen = seenCheckpoint()
  if (!seen) return 'unproven'
  const [policies, policy] = [await trustedPolicies(), await trustedPolicy()]
  const lines = linesOf(text)
  const printed = lines && treeOf(lines)
  if (!printed || lines[0] !== policy.origin) return 'other'
  const mine = verifyCheckpoint(seen.note, policies)
  if (printed.size === mine.size) return equal(printed.root, mine.root) ? 'same' : 'differs'
  if (await isContinued(printed, mine)) return 'same'
  return printed.size < mine.size && (await isRefuted(printed, mine)) ? 'differs' : 'unproven'
}

interface Tree {
  readonly size: number
  readonly root: Uint8Array
}

/** Whether some node shows that our ledger begins with another tree of that size. */
async function isRefuted(printed: Tree, mine: Tree): Promise<boolean> {
  for (const node of await nodesInOrder()) {
    const tree = new TileTree(printed.size, (path) => fetchBytes(node.url + path, 10_000))
    const root = await tree.root().catch(() => undefined)
    if (root && !equal(root, printed.root) && (await isContinued({ size: printed.size, root }, mine))) return true
  }
  return false
}

function linesOf(text: string): Notice['lines'] | undefined {
  const [origin, size, root] = text.replace(/\r/g, '').trim().split('\n')
  return origin && size && root ? [origin, size, root] : undefined
}

function treeOf([, size, text]: Notice['lines']): Tree | undefined {
  if (!/^[1-9]\d{0,15}$/.test(size) || !Number.isSafeInteger(Number(size))) return undefined
  try {
    const root = decodeBase64(text)
    return root.length === DIGEST_BYTES ? { size: Number(size), root } : undefined
  } catch {
    return undefined
  }
}
