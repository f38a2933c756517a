/** Vectors made by others (Wycheproof, transparency.dev), read only where LINLI_SHARED_DATA says they are. */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { decodeHex } from '../../src/core/hex'
import { decodeBase64 } from '../../src/core/base64'
import { verifySignature } from '../../src/core/device-key'
import { encodeBase64Url } from '../../src/core/base64'
import { verifyConsistency, verifyInclusion } from '../../src/core/merkle'

const folder = join(process.env['LINLI_SHARED_DATA'] ?? '/nonexistent', 'vectors')
const isHere = existsSync(folder)
const read = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8'))

interface EcdsaGroup {
  readonly publicKey: { readonly uncompressed: string }
  readonly tests: readonly {
    readonly tcId: number
    readonly msg: string
    readonly sig: string
    readonly result: string
  }[]
}

const decodeAll = (proof: readonly string[] | null): Uint8Array[] => (proof ?? []).map(decodeBase64)

/** undefined when it held, else the error. */
function failureOf(action: () => void): unknown {
  try {
    action()
    return undefined
  } catch (error) {
    return error
  }
}

describe.skipIf(!isHere)('vectors of others', () => {
  it('ECDSA P-256: accepts exactly the valid ones', () => {
    const { testGroups } = read('ecdsa_p256_sha256.json') as { testGroups: readonly EcdsaGroup[] }
    for (const group of testGroups) {
      const point = decodeHex(group.publicKey.uncompressed)
      const jwk = {
        crv: 'P-256',
        kty: 'EC',
        x: encodeBase64Url(point.slice(1, 33)),
        y: encodeBase64Url(point.slice(33)),
      } as const
      for (const test of group.tests) {
        const held = verifySignature(jwk, decodeHex(test.msg), decodeHex(test.sig))
        expect(held, `tcId ${test.tcId}`).toBe(test.result === 'valid')
      }
    }
  })

  it('Merkle: inclusion and consistency agree with every case', () => {
    const vectors = read('merkle.json')
    for (const one of vectors.inclusion) {
      const failure = failureOf(() =>
        verifyInclusion(
          decodeBase64(one.leafHash),
          one.leafIdx,
          one.treeSize,
          decodeAll(one.proof),
          decodeBase64(one.root),
        ),
      )
      expect(failure !== undefined, one.name).toBe(one.wantErr)
    }
    for (const one of vectors.consistency) {
      const failure = failureOf(() =>
        verifyConsistency(one.size1, one.size2, decodeAll(one.proof), decodeBase64(one.root1), decodeBase64(one.root2)),
      )
      expect(failure !== undefined, one.name).toBe(one.wantErr)
    }
  })
})
