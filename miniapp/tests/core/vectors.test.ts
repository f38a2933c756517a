/** The vectors that server, independent verifier and phone must decide alike (schemas/vectors/README.md). */

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { decodeBase64, decodeBase64Url, encodeBase64, encodeBase64Url } from '../../src/core/base64'
import { KeyFaultError, readBallotKeys, type BallotKey } from '../../src/core/ballot-keys'
import { openWithSeed, sealBox, type BoxContext } from '../../src/core/box'
import { canonicalText, parseCanonical, parseCanonicalBytes, type Json } from '../../src/core/canonical'
import { CheckpointError, verifyCheckpoint, verifyCosigned } from '../../src/core/checkpoint'
import { parseJwk, thumbprint, verifySignature, type PublicJwk } from '../../src/core/device-key'
import { sha256 } from '../../src/core/digest'
import { EvidenceError, readEvidence } from '../../src/core/evidence'
import { decodeHex, encodeHex } from '../../src/core/hex'
import { verifyJws } from '../../src/core/jws'
import { verifyConsistency, verifyInclusion } from '../../src/core/merkle'
import { gradeOf, parsePolicy } from '../../src/core/policy'
import { ReceiptError, verifyReceipt } from '../../src/core/receipt'
import { estateName, open, parseRecord, recordId } from '../../src/core/record'
import { verifyRetiredEvidence } from '../../src/core/retirement'
import { abandonedBy, consensusKeys, followLinks, policyBySize, type Link } from '../../src/core/succession'
import { encodeUtf8 } from '../../src/core/utf8'
import { rootOf, leafOf } from './log-builder'

const folder = join(dirname(fileURLToPath(import.meta.url)), '../../../schemas/vectors')

interface Case {
  readonly name: string
  readonly valid: boolean
  readonly reason?: string
}

interface File<Extra> {
  readonly cases: readonly (Case & Extra)[]
  readonly policies: Readonly<Record<string, string>>
  readonly genesis?: string
}

const read = <Extra>(name: string): File<Extra> =>
  JSON.parse(readFileSync(join(folder, name + '.json'), 'utf8')) as File<Extra>

/** undefined when it held, else what it threw. */
function failureOf(action: () => void): unknown {
  try {
    action()
    return undefined
  } catch (error) {
    return error
  }
}

/** Runs a case: what is not valid must fail, what is valid must not, and then says what it says. */
function decide({ valid }: Case, action: () => void): void {
  const failure = failureOf(action)
  if (valid) expect(failure).toBeUndefined()
  else expect(failure).toBeInstanceOf(Error)
}

interface Succession {
  readonly links: readonly Link[]
  readonly eras: readonly { readonly first_size: number; readonly policy: string }[]
  readonly checkpoints?: readonly {
    readonly abandoned: readonly string[]
    readonly grade: string
    readonly note: string
  }[]
}

describe('successions', () => {
  const file = read<Succession>('successions') as File<Succession> & { readonly genesis: string }
  it.each(file.cases)('$name', (one) => {
    decide(one, () => {
      const eras = followLinks(encodeUtf8(file.genesis), one.links)
      if (!one.valid) return
      expect(eras.map(({ firstSize, policy }) => ({ first_size: firstSize, policy }))).toEqual(one.eras)
    })
  })

  it.each(file.cases.filter((one) => one.checkpoints))('$name: which of two trees counts', (one) => {
    const eras = followLinks(encodeUtf8(file.genesis), one.links)
    for (const { abandoned, grade, note } of one.checkpoints!) {
      expect(abandonedBy(eras, note)).toEqual(abandoned)
      expect(verifyCosigned(note, policyBySize(eras)).grade ?? '').toBe(grade)
    }
  })

  it('of a tree of each size those count that were members then', () => {
    const { eras } = file.cases.find((one) => one.name === 'one change after the other')!
    const bySize = policyBySize(eras.map((era) => ({ policy: era.policy, firstSize: era.first_size })))
    for (const [at, era] of eras.entries()) {
      expect(bySize(era.first_size)).toEqual(parsePolicy(era.policy))
      if (at > 0) expect(bySize(era.first_size - 1)).toEqual(parsePolicy(eras[at - 1]!.policy))
    }
  })
})

interface Retirement {
  readonly packed: string
  readonly culprit?: string
  readonly epoch?: number
}

describe('retirements', () => {
  type Shared = { readonly genesis: string; readonly links: readonly Link[] }
  const file = read<Retirement>('retirements') as File<Retirement> & Shared
  const eras = followLinks(encodeUtf8(file.genesis), file.links)
  const clusterId = encodeBase64Url(sha256(encodeUtf8(file.genesis)))
  it.each(file.cases)('$name', (one) => {
    decide(one, () => {
      const evidence = readEvidence(one.packed)
      const epoch = verifyRetiredEvidence(evidence, eras, clusterId)
      if (one.valid) expect([evidence.culprit, epoch]).toEqual([one.culprit, one.epoch])
    })
  })

  it('proves nothing to a phone that knows the first members only', () => {
    const [first] = file.cases
    expect(() => verifyRetiredEvidence(readEvidence(first!.packed), eras.slice(0, 1), clusterId)).toThrow(EvidenceError)
  })
})

describe.each([
  ['base64', decodeBase64, encodeBase64],
  ['base64url', decodeBase64Url, encodeBase64Url],
] as const)('%s', (name, decode, encode) => {
  it.each(read<{ text: string; hex: string }>(name).cases)('$name', (one) => {
    decide(one, () => {
      const bytes = decode(one.text)
      if (one.valid) expect([encodeHex(bytes), encode(bytes)]).toEqual([one.hex, one.text])
    })
  })
})

describe('canonical JSON', () => {
  it.each(read<{ text?: string; hex?: string; value: Json }>('canonical').cases)('$name', (one) => {
    decide(one, () => {
      const value = one.hex === undefined ? parseCanonical(one.text!) : parseCanonicalBytes(decodeHex(one.hex))
      if (one.valid) expect([value, canonicalText(value)]).toEqual([one.value, one.text])
    })
  })
})

describe('thumbprint', () => {
  it.each(read<{ jwk: Json; kid: string }>('thumbprints').cases)('$name', (one) => {
    decide(one, () => {
      const kid = thumbprint(parseJwk(one.jwk))
      if (one.valid) expect(kid).toBe(one.kid)
    })
  })
})

describe('signature', () => {
  it.each(read<{ point: string; message: string; signature: string }>('signatures').cases)('$name', (one) => {
    const point = failureOf(() => decodeHex(one.point)) === undefined ? decodeHex(one.point) : new Uint8Array()
    const jwk: PublicJwk = {
      crv: 'P-256',
      kty: 'EC',
      x: encodeBase64Url(point.slice(1, 33)),
      y: encodeBase64Url(point.slice(33)),
    }
    // A point in another form never reaches the phone, which knows keys as JWK only.
    const isPoint = point.length === 65 && point[0] === 4
    const holds = isPoint && verifySignature(jwk, decodeHex(one.message), decodeHex(one.signature))
    expect(holds).toBe(one.valid)
  })
})

describe('opening', () => {
  it.each(read<{ commitment: string; opening: string; value: Json }>('openings').cases)('$name', (one) => {
    decide(one, () => {
      const value = open(one.commitment, one.opening)
      if (one.valid) expect(value).toEqual(one.value)
    })
  })
})

describe('ballot keys', () => {
  type Member = { readonly id: string; readonly attest_key: string }
  type Shared = { readonly cluster_id: string; readonly members: readonly Member[]; readonly motion: string }
  const file = read<{ keys: readonly BallotKey[] }>('ballot_keys') as File<{ keys: readonly BallotKey[] }> & Shared
  const members = file.members.map(({ id, attest_key }) => ({ id, attestKey: decodeBase64Url(attest_key) }))
  it.each(file.cases)('$name', (one) => {
    const act = () => readBallotKeys(one.keys, file.motion, file.cluster_id, members)
    if (one.valid) expect(act().map(encodeBase64Url)).toEqual(one.keys.map(({ key }) => key))
    else expect(failureOf(act)).toEqual(new KeyFaultError(one.reason as KeyFaultError['fault']))
  })
})

interface SealedBallot {
  readonly box: string
  readonly context: Omit<BoxContext, 'clusterId' | 'keys'> & { readonly cluster_id: string; readonly keys: string[] }
  readonly opening: string
  readonly seed: string
}

describe('box', () => {
  it.each(read<SealedBallot>('boxes').cases)('$name', (one) => {
    const { cluster_id: clusterId, keys, ...ballot } = one.context
    const context = { ...ballot, clusterId, keys: keys.map(decodeBase64Url) }
    decide(one, () => {
      const opening = openWithSeed(decodeHex(one.box), decodeHex(one.seed), context)
      if (!one.valid) return
      expect(encodeBase64Url(opening)).toBe(one.opening)
      expect(encodeHex(sealBox(opening, decodeHex(one.seed), context))).toBe(one.box)
    })
  })
})

describe('record', () => {
  type Given = { record: string; id: string; kid: string; device_key: PublicJwk; payload: string }
  // The phone makes records of its own estate only; whose a foreign one is, the receipt's policy tells.
  const cases = read<Given>('records').cases.filter((one) => one.reason !== 'estate')
  it.each(cases)('$name', (one) => {
    decide(one, () => {
      const { jws, payload } = parseRecord(one.record)
      if (!one.valid) return
      expect([recordId(one.record), jws.kid]).toEqual([one.id, one.kid])
      expect(canonicalText(payload as unknown as Json)).toBe(one.payload)
      expect(verifyJws(jws, one.device_key)).toBe(true)
    })
  })
})

describe('Merkle tree', () => {
  const decodeAll = (proof: readonly string[]) => proof.map(decodeHex)

  it.each(read<{ size: number; root: string }>('merkle_roots').cases)('root of $name', ({ size, root }) => {
    expect(rootOf(Array.from({ length: size }, (_, n) => leafOf(`entry ${n}`))).toString('hex')).toBe(root)
  })

  type Inclusion = { leaf_hash: string; index: number; size: number; proof: string[]; root: string }
  it.each(read<Inclusion>('merkle_inclusion').cases)('inclusion: $name', (one) => {
    decide(one, () =>
      verifyInclusion(decodeHex(one.leaf_hash), one.index, one.size, decodeAll(one.proof), decodeHex(one.root)),
    )
  })

  type Consistency = { size1: number; size2: number; proof: string[]; root1: string; root2: string }
  it.each(read<Consistency>('merkle_consistency').cases)('consistency: $name', (one) => {
    decide(one, () =>
      verifyConsistency(one.size1, one.size2, decodeAll(one.proof), decodeHex(one.root1), decodeHex(one.root2)),
    )
  })
})

describe('policy', () => {
  type Given = { policy: string; origin: string; witnesses: string[]; grades: { signers: string[]; grade: string }[] }
  it.each(read<Given>('policies').cases)('$name', (one) => {
    decide(one, () => {
      const policy = parsePolicy(one.policy)
      if (!one.valid) return
      expect([policy.origin, [...policy.witnesses.keys()]]).toEqual([one.origin, one.witnesses])
      for (const { signers, grade: expected } of one.grades) {
        expect(gradeOf(policy, new Set(signers)) ?? '').toBe(expected)
      }
    })
  })

  it.each(
    read<{ text: string; cluster_id: string; estate: string; policy: string }>('genesis').cases.filter(
      (one) => one.valid,
    ),
  )('estate and policy of genesis: $name', (one) => {
    expect(estateName(one.estate.split('.')[0]!, one.cluster_id)).toBe(one.estate)
    expect(parsePolicy(one.policy).quorum).toBe('committed')
  })
})

describe('checkpoint', () => {
  const { cases, policies } = read<{
    policy: string
    note: string
    size: number
    root: string
    signers: string[]
    grade: string
  }>('checkpoints')
  it.each(cases)('$name', (one) => {
    const failure = failureOf(() => {
      const checkpoint = verifyCheckpoint(one.note, parsePolicy(policies[one.policy]!))
      expect(one.valid).toBe(true)
      expect([checkpoint.size, encodeHex(checkpoint.root)]).toEqual([one.size, one.root])
      expect([...checkpoint.cosigned.keys()].sort()).toEqual([...one.signers].sort())
      expect(checkpoint.grade ?? '').toBe(one.grade)
    })
    if (one.valid) expect(failure).toBeUndefined()
    else expect((failure as CheckpointError).fault).toBe(one.reason)
  })
})

describe('receipt', () => {
  type Given = {
    policy: string
    receipt: string
    require?: string
    grade: string
    owner_checked: boolean
    index: number
    outcome: string
    id?: string
    kid?: string
    author?: string
    genesis?: boolean
    barred?: string[]
    unchecked?: string[]
  }
  const { cases, policies, genesis } = read<Given>('receipts')
  const founding = encodeUtf8(genesis!)
  const keys = consensusKeys(encodeBase64Url(sha256(founding)), followLinks(founding, []))
  it.each(cases.filter((one) => one.require === undefined))('$name', (one) => {
    const failure = failureOf(() => {
      const receipt = verifyReceipt(one.receipt, parsePolicy(policies[one.policy]!), one.genesis ? keys : undefined)
      expect(one.valid).toBe(true)
      const named = (isVerified: boolean) =>
        receipt.barrings.filter((barring) => barring.isVerified === isVerified).map(({ culprit }) => culprit)
      expect([named(true), named(false)]).toEqual([one.barred ?? [], one.unchecked ?? []])
      expect([receipt.grade, receipt.ownerChecked]).toEqual([one.grade, one.owner_checked])
      expect([receipt.entry.index, receipt.entry.outcome]).toEqual([one.index, one.outcome])
      expect([receipt.record?.id, receipt.record?.kid, receipt.record?.payload.author]).toEqual([
        one.id,
        one.kid,
        one.author,
      ])
    })
    if (one.valid) return expect(failure).toBeUndefined()
    const [fault, detail] = one.reason!.split('.')
    expect((failure as ReceiptError).fault).toBe(fault)
    if (detail !== undefined) expect((failure as ReceiptError).detail).toBe(detail)
  })

  it.each(cases.filter((one) => one.require !== undefined))('$name: holds, and says the lower grade', (one) => {
    const receipt = verifyReceipt(one.receipt, parsePolicy(policies[one.policy]!))
    expect(receipt.grade === one.require).toBe(one.valid)
  })
})
