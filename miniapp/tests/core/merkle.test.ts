import { describe, expect, it } from 'vitest'
import { leafHash, verifyConsistency, verifyInclusion } from '../../src/core/merkle'
import { encodeUtf8 } from '../../src/core/utf8'
import { consistencyOf, inclusionOf, leafOf, rootOf } from './log-builder'

const SIZE_MAX = 33
const entries = Array.from({ length: SIZE_MAX }, (_, index) => `entry ${index}`)
const leaves = entries.map(leafOf)
const sizes = entries.map((_, index) => index + 1)

describe('inclusion', () => {
  it('holds for every entry of every tree, at its own index only', () => {
    for (const size of sizes) {
      const tree = leaves.slice(0, size)
      for (let index = 0; index < size; index++) {
        const proof = inclusionOf(index, tree)
        verifyInclusion(leafHash(encodeUtf8(entries[index]!)), index, size, proof, rootOf(tree))
        if (size > 1)
          expect(() => verifyInclusion(leaves[index]!, (index + 1) % size, size, proof, rootOf(tree))).toThrow()
      }
    }
  })

  it('does not hold with a proof too long, too short, changed, or numbers out of range', () => {
    const proof = inclusionOf(5, leaves)
    const root = rootOf(leaves)
    const check = (index: number, size: number, path: readonly Uint8Array[]) => () =>
      verifyInclusion(leaves[5]!, index, size, path, root)
    expect(check(5, SIZE_MAX, proof)).not.toThrow()
    expect(check(5, SIZE_MAX, proof.slice(1))).toThrow()
    expect(check(5, SIZE_MAX, [...proof, root])).toThrow()
    expect(check(5, SIZE_MAX, [...proof].reverse())).toThrow()
    expect(check(5, SIZE_MAX, [...proof.slice(1), new Uint8Array(31)])).toThrow()
    for (const [index, size] of [
      [SIZE_MAX, SIZE_MAX],
      [-1, SIZE_MAX],
      [5, 0],
      [5.5, SIZE_MAX],
      [NaN, SIZE_MAX],
      [5, 2 ** 60],
    ]) {
      expect(check(index!, size!, proof)).toThrow()
    }
  })
})

describe('consistency', () => {
  it('holds between every two sizes, and not with another root', () => {
    for (const size2 of sizes) {
      for (let size1 = 1; size1 <= size2; size1++) {
        const tree = leaves.slice(0, size2)
        const proof = consistencyOf(size1, tree)
        const root1 = rootOf(tree.slice(0, size1))
        verifyConsistency(size1, size2, proof, root1, rootOf(tree))
        expect(() =>
          verifyConsistency(
            size1,
            size2,
            proof,
            leaves[32]!.map((byte) => byte ^ 1),
            rootOf(tree),
          ),
        ).toThrow()
        expect(() => verifyConsistency(size1, size2, [...proof, root1], root1, rootOf(tree))).toThrow()
      }
    }
  })

  it('does not hold backwards or from nothing', () => {
    const root = rootOf(leaves)
    expect(() => verifyConsistency(0, SIZE_MAX, [], root, root)).toThrow()
    expect(() => verifyConsistency(SIZE_MAX, 3, consistencyOf(3, leaves), root, rootOf(leaves.slice(0, 3)))).toThrow()
  })
})
