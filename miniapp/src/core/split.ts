/**
 * Proof that somebody signed two histories (consensus.md 1.4, E5): two checkpoints with a signer in common, of one size
 * with two roots, or of two sizes with two leaves at one index. Anybody with the policy can check it; without such a
 * proof there is only suspicion.
 */

import { decodeBase64Url, encodeBase64Url } from './base64'
import { equal } from './bytes'
import { verifyCheckpoint, type PolicySource } from './checkpoint'
import { verifyInclusion } from './merkle'
import type { TreeBranch } from './tiles'

export class SplitError extends Error {}

/** As `POST /api/v1/evidence` takes it: hashes in base64url. */
export interface Branch {
  readonly index: number
  readonly leaf: string
  readonly proof: readonly string[]
}

/** `proofs`: none for two roots of one size; else one a note, in their order. */
export interface Split {
  readonly notes: readonly [string, string]
  readonly proofs: readonly Branch[]
}

export function branchText({ index, leaf, proof }: TreeBranch): Branch {
  return { index, leaf: encodeBase64Url(leaf), proof: proof.map(encodeBase64Url) }
}

/** The witnesses that signed both histories. Throws CheckpointError, ProofError or SplitError when it proves nothing. */
export function verifySplit({ notes, proofs }: Split, policy: PolicySource): readonly string[] {
  const [one, other] = [verifyCheckpoint(notes[0], policy), verifyCheckpoint(notes[1], policy)]
  verifyContradiction(one, other, proofs)
  const both = [...one.cosigned.keys()].filter((name) => other.cosigned.has(name))
  if (both.length === 0) throw new SplitError('nobody signed both')
  return both
}

interface Tree {
  readonly size: number
  readonly root: Uint8Array
}

/** Throws SplitError or ProofError unless the two trees cannot be of one history. Who signed them is not looked at. */
export function verifyContradiction(one: Tree, other: Tree, proofs: readonly Branch[]): void {
  if (one.size === other.size) {
    if (proofs.length > 0 || equal(one.root, other.root)) throw new SplitError('not two roots of one size')
    return
  }
  const [first, second] = proofs
  if (!first || !second || proofs.length > 2) throw new SplitError('two branches are needed')
  if (first.index !== second.index || first.leaf === second.leaf) throw new SplitError('not two leaves of one index')
  verifyBranch(first, one)
  verifyBranch(second, other)
}

function verifyBranch({ index, leaf, proof }: Branch, { size, root }: Tree): void {
  verifyInclusion(decodeBase64Url(leaf), index, size, proof.map(decodeBase64Url), root)
}
