/**
 * The log's tree as its tiles tell it (c2sp.org/tlog-tiles): roots, branches, and where two trees part. What a tile says
 * is believed only as far as it leads to a root that somebody signed; `fetch` alone knows where tiles come from.
 */

import { equal } from './bytes'
import { DIGEST_BYTES } from './digest'
import { nodeHash, ProofError } from './merkle'

const WIDTH = 256
/** Levels of the tree in one tile. */
const HEIGHT = 8

/** The bytes at a path below the log's address. */
export type FetchTile = (path: string) => Promise<Uint8Array>

/** A leaf's hash at an index, with its inclusion proof (RFC 9162 2.1.3). */
export interface TreeBranch {
  readonly index: number
  readonly leaf: Uint8Array
  readonly proof: readonly Uint8Array[]
}

/** A perfect subtree: of 2^level leaves, counted from the left. */
type Place = readonly [level: number, index: number]

export class TileTree {
  private readonly tiles = new Map<string, Promise<Uint8Array>>()

  constructor(
    readonly size: number,
    private readonly fetch: FetchTile,
  ) {
    if (!Number.isSafeInteger(size) || size < 1) throw new ProofError('not a size')
  }

  root(): Promise<Uint8Array> {
    return this.fold(perfectPlaces(0, this.size))
  }

  /** The hash of a perfect subtree of this tree. */
  async node([level, index]: Place): Promise<Uint8Array> {
    const above = level % HEIGHT
    const first = index * 2 ** above
    const tile = await this.tile((level - above) / HEIGHT, Math.floor(first / WIDTH))
    let hashes = Array.from({ length: 2 ** above }, (_, at) => hashAt(tile, (first % WIDTH) + at))
    while (hashes.length > 1)
      hashes = Array.from({ length: hashes.length / 2 }, (_, at) => nodeHash(hashes[2 * at]!, hashes[2 * at + 1]!))
    return hashes[0]!
  }

  async branch(index: number): Promise<TreeBranch> {
    const steps: Promise<Uint8Array>[] = []
    let [begin, end] = [0, this.size]
    while (end - begin > 1) {
      const middle = begin + splitOf(end - begin)
      if (index < middle) {
        steps.unshift(this.fold(perfectPlaces(middle, end)))
        end = middle
      } else {
        steps.unshift(this.fold(perfectPlaces(begin, middle)))
        begin = middle
      }
    }
    return { index, leaf: await this.node([0, index]), proof: await Promise.all(steps) }
  }

  /** Perfect subtrees side by side, joined from the right (RFC 9162 2.1.1). */
  private async fold(places: readonly Place[]): Promise<Uint8Array> {
    const hashes = await Promise.all(places.map((place) => this.node(place)))
    return hashes.reduceRight((right, left) => nodeHash(left, right))
  }

  private async tile(level: number, number: number): Promise<Uint8Array> {
    const width = Math.min(WIDTH, Math.floor(this.size / WIDTH ** level) - number * WIDTH)
    const path = tilePath(level, number, width)
    const known = this.tiles.get(path) ?? this.fetch(path)
    this.tiles.set(path, known)
    const tile = await known
    if (tile.length !== width * DIGEST_BYTES) throw new ProofError('not a tile')
    return tile
  }
}

/**
 * The first leaf in which two trees differ; null when one is the beginning of the other. Looks at two hashes a level, so
 * a long log costs a few tiles.
 */
export async function firstDifference(one: TileTree, other: TileTree): Promise<number | null> {
  const differs = async (place: Place) => !equal(await one.node(place), await other.node(place))
  for (const place of perfectPlaces(0, Math.min(one.size, other.size))) {
    if (!(await differs(place))) continue
    let [level, index] = place
    while (level > 0) {
      level -= 1
      index = (await differs([level, index * 2])) ? index * 2 : index * 2 + 1
    }
    return index
  }
  return null
}

/** `/tile/<L>/<N>[.p/<W>]`: N in groups of three digits, all but the last marked with x. */
export function tilePath(level: number, number: number, width: number): string {
  const groups: string[] = []
  for (let rest = number; groups.length === 0 || rest > 0; rest = Math.floor(rest / 1000))
    groups.unshift((groups.length > 0 ? 'x' : '') + String(rest % 1000).padStart(3, '0'))
  return `/tile/${level}/${groups.join('/')}${width < WIDTH ? `.p/${width}` : ''}`
}

/** The perfect subtrees that cover the leaves [begin, end), left to right; `begin` is aligned to them. */
function perfectPlaces(begin: number, end: number): Place[] {
  const places: Place[] = []
  for (let at = begin; at < end; ) {
    let level = 0
    while (at % 2 ** (level + 1) === 0 && at + 2 ** (level + 1) <= end) level += 1
    places.push([level, at / 2 ** level])
    at += 2 ** level
  }
  return places
}

/** The largest power of two smaller than `size`. */
function splitOf(size: number): number {
  let split = 1
  while (split * 2 < size) split *= 2
  return split
}

function hashAt(tile: Uint8Array, place: number): Uint8Array {
  return tile.slice(place * DIGEST_BYTES, (place + 1) * DIGEST_BYTES)
}
