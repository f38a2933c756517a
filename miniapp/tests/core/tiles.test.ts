import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { verifyInclusion } from '../../src/core/merkle'
import { firstDifference, TileTree, tilePath } from '../../src/core/tiles'
import { inclusionOf, rootOf } from './log-builder'

const leaf = (text: string): Buffer => createHash('sha256').update(text).digest()
const leavesOf = (size: number, changed = -1): Buffer[] =>
  Array.from({ length: size }, (_, at) => leaf(at === changed ? `other ${at}` : `leaf ${at}`))

/** A node's tiles, made from the leaves by the definition of tlog-tiles. */
function serve(leaves: readonly Buffer[], asked: string[] = []) {
  return (path: string): Promise<Uint8Array> => {
    asked.push(path)
    const [, level, place, partial] = /^\/tile\/(\d+)\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d+))?$/.exec(path)!
    const number = Number(place!.replaceAll(/[x/]/g, ''))
    const each = 256 ** Number(level)
    const hashes = Array.from({ length: Number(partial ?? 256) }, (_, at) => {
      const begin = (number * 256 + at) * each
      if (begin + each > leaves.length) throw new Error('no such tile')
      return rootOf(leaves.slice(begin, begin + each))
    })
    return Promise.resolve(new Uint8Array(Buffer.concat(hashes)))
  }
}

describe('tiles', () => {
  it.each([
    [0, 0, 256, '/tile/0/000'],
    [1, 7, 3, '/tile/1/007.p/3'],
    [0, 1_234_067, 256, '/tile/0/x001/x234/067'],
    [2, 1_000, 255, '/tile/2/x001/000.p/255'],
  ])('level %i number %i width %i is at %s', (level, number, width, path) => {
    expect(tilePath(level, number, width)).toBe(path)
  })

  it.each([1, 2, 3, 255, 256, 257, 511, 512, 513, 700])('give the root and every branch of %i leaves', async (size) => {
    const leaves = leavesOf(size)
    const tree = new TileTree(size, serve(leaves))
    const root = rootOf(leaves)
    expect(Buffer.from(await tree.root())).toEqual(root)
    for (const index of [0, 1, 254, 255, 256, size - 2, size - 1].filter((at) => at >= 0 && at < size)) {
      const branch = await tree.branch(index)
      expect(branch.proof.map((hash) => Buffer.from(hash))).toEqual(inclusionOf(index, leaves))
      verifyInclusion(branch.leaf, index, size, branch.proof, root)
    }
  })

  it('of another length are refused', async () => {
    const tree = new TileTree(3, () => Promise.resolve(new Uint8Array(64)))
    await expect(tree.root()).rejects.toThrow('not a tile')
  })

  it.each([
    [700, 513, 0],
    [700, 513, 512],
    [300, 300, 299],
    [257, 600, 256],
    [256, 257, 100],
  ])('of %i and %i leaves part at leaf %i', async (size1, size2, changed) => {
    const one = new TileTree(size1, serve(leavesOf(size1)))
    const other = new TileTree(size2, serve(leavesOf(size2, changed)))
    expect(await firstDifference(one, other)).toBe(changed)
    expect(await firstDifference(other, one)).toBe(changed)
  })

  it('show when one log is the beginning of the other', async () => {
    const one = new TileTree(300, serve(leavesOf(300)))
    expect(await firstDifference(one, new TileTree(700, serve(leavesOf(700, 650))))).toBeNull()
  })

  it('are asked for once, and few of them', async () => {
    const asked: string[] = []
    const one = new TileTree(70_000, serve(leavesOf(70_000), asked))
    await one.branch(40_000)
    expect(asked).toEqual([...new Set(asked)])
    expect(asked.length).toBeLessThanOrEqual(6)
  })
})
