/** Proofs in the log's Merkle tree (RFC 6962 2.1; verification by RFC 9162 2.1.3.2 and 2.1.4.2). */

import { equal } from './bytes'
import { DIGEST_BYTES, sha256 } from './digest'

export class ProofError extends Error {}

const LEAF_PREFIX = Uint8Array.of(0)
const NODE_PREFIX = Uint8Array.of(1)

export function leafHash(entry: Uint8Array): Uint8Array {
  return sha256(LEAF_PREFIX, entry)
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(NODE_PREFIX, left, right)
}

/** Throws ProofError unless `leaf` (a leaf hash) stands at `index` of the tree of `size` leaves with this root. */
export function verifyInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): void {
  checkNumbers(index, size)
  if (index >= size) throw new ProofError('index is not in the tree')
  checkDigests([leaf, root, ...proof])
  const walk = new Walk(index, size - 1)
  const found = proof.reduce((hash, sibling) => (walk.step() ? nodeHash(sibling, hash) : nodeHash(hash, sibling)), leaf)
  walk.finish()
  if (!equal(found, root)) throw new ProofError('not in the tree')
}

/** Throws ProofError unless the tree of `size1` leaves is a prefix of the tree of `size2` leaves. */
export function verifyConsistency(
  size1: number,
  size2: number,
  proof: readonly Uint8Array[],
  root1: Uint8Array,
  root2: Uint8Array,
): void {
  checkNumbers(size1, size2)
  if (size1 === 0 || size1 > size2) throw new ProofError('sizes')
  checkDigests([root1, root2, ...proof])
  if (size1 === size2) {
    if (proof.length > 0 || !equal(root1, root2)) throw new ProofError('same size, other root')
    return
  }
  if (proof.length === 0) throw new ProofError('proof is empty')
  const walk = new Walk(size1 - 1, size2 - 1)
  walk.skipOdd()
  const [first, ...rest] = walk.atStart ? [root1, ...proof] : proof
  let older = first!
  let newer = first!
  for (const sibling of rest) {
    if (walk.step()) {
      older = nodeHash(sibling, older)
      newer = nodeHash(sibling, newer)
    } else newer = nodeHash(newer, sibling)
  }
  walk.finish()
  if (!equal(older, root1) || !equal(newer, root2)) throw new ProofError('not a prefix')
}

/** The pair (fn, sn) of RFC 9162. Divides instead of shifting: sizes may pass 2^31. */
class Walk {
  constructor(
    private position: number,
    private last: number,
  ) {}

  get atStart(): boolean {
    return this.position === 0
  }

  skipOdd(): void {
    while (this.position % 2 === 1) this.up()
  }

  /** One level up; true when the sibling stands on the left. */
  step(): boolean {
    if (this.last === 0) throw new ProofError('proof is too long')
    const siblingIsLeft = this.position % 2 === 1 || this.position === this.last
    if (siblingIsLeft) while (this.position % 2 === 0 && this.position !== 0) this.up()
    this.up()
    return siblingIsLeft
  }

  finish(): void {
    if (this.last !== 0) throw new ProofError('proof is too short')
  }

  private up(): void {
    this.position = Math.floor(this.position / 2)
    this.last = Math.floor(this.last / 2)
  }
}

function checkNumbers(...numbers: readonly number[]): void {
  if (!numbers.every((number) => Number.isSafeInteger(number) && number >= 0)) throw new ProofError('not a size')
}

function checkDigests(digests: readonly Uint8Array[]): void {
  if (!digests.every((digest) => digest.length === DIGEST_BYTES)) throw new ProofError('digest length')
}
