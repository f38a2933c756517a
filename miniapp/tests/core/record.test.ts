import { createHash, createPublicKey, verify as nodeVerify } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { p256 } from '@noble/curves/nist.js'
import { decodeBase64Url, encodeBase64Url } from '../../src/core/base64'
import { deviceKeyFromSeed, parseJwk, sign, thumbprint, verifySignature } from '../../src/core/device-key'
import { parseJws, verifyJws } from '../../src/core/jws'
import { commit, estateName, open, parseRecord, recordId, signRecord, type RecordDraft } from '../../src/core/record'
import { signSessionProof } from '../../src/core/session-proof'
import { encodeUtf8 } from '../../src/core/utf8'
import { deviceKey } from './log-builder'

const key = deviceKey(7)
const draft: RecordDraft = {
  author: 'm-001',
  body: { ticket: 't-1' },
  estate: estateName('xiangshanyuan', 'q'.repeat(43)),
  kind: 'ticket.confirm',
  madeMs: 1_790_000_000_000,
  lifetimeMs: 600_000,
  nonce: new Uint8Array(16).fill(1),
}

describe('device key', () => {
  it('needs 48 random bytes', () => {
    expect(() => deviceKeyFromSeed(new Uint8Array(32))).toThrow()
  })

  it('has the thumbprint of RFC 7638 over the four members', () => {
    const text = `{"crv":"P-256","kty":"EC","x":"${key.jwk.x}","y":"${key.jwk.y}"}`
    expect(key.kid).toBe(createHash('sha256').update(text).digest('base64url'))
    expect(thumbprint(key.jwk)).toHaveLength(43)
  })

  it('signs what the platform verifies as ES256, r and s in 64 bytes', () => {
    const message = encodeUtf8('邻里')
    const publicKey = createPublicKey({ key: { ...key.jwk }, format: 'jwk' })
    expect(nodeVerify('sha256', message, { key: publicKey, dsaEncoding: 'ieee-p1363' }, sign(key, message))).toBe(true)
  })

  it('accepts high s as well as low s', () => {
    const message = encodeUtf8('x')
    const low = sign(key, message)
    const order = p256.Point.Fn.ORDER
    const s = BigInt('0x' + Buffer.from(low.slice(32)).toString('hex'))
    const high = Buffer.concat([low.slice(0, 32), Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex')])
    expect(verifySignature(key.jwk, message, new Uint8Array(high))).toBe(true)
  })

  it('says false, never throws, for bad signatures and keys', () => {
    const message = encodeUtf8('x')
    for (const bad of [
      new Uint8Array(0),
      new Uint8Array(64),
      new Uint8Array(63).fill(1),
      new Uint8Array(64).fill(255),
    ]) {
      expect(verifySignature(key.jwk, message, bad)).toBe(false)
    }
    expect(verifySignature({ ...key.jwk, y: key.jwk.x }, message, sign(key, message))).toBe(false)
  })

  it('reads a JWK only with exactly its members and on the curve', () => {
    expect(parseJwk({ ...key.jwk })).toEqual(key.jwk)
    for (const bad of [
      { ...key.jwk, d: 'x' },
      { ...key.jwk, crv: 'P-384' },
      { ...key.jwk, y: key.jwk.x },
      { ...key.jwk, x: 'AA' },
      'x',
    ]) {
      expect(() => parseJwk(bad)).toThrow()
    }
  })
})

describe('record', () => {
  it('has the header of the design byte for byte and a canonical payload', () => {
    const [header, payload] = signRecord(draft, key)
      .jws.split('.')
      .map((part) => Buffer.from(part, 'base64url').toString())
    expect(header).toBe(`{"alg":"ES256","kid":"${key.kid}","typ":"linli-record+jws"}`)
    expect(payload).toBe(
      '{"author":"m-001","body":{"ticket":"t-1"},"estate":"xiangshanyuan.qqqqqqqqqqqqqqqqqqqqqq",' +
        '"expires_ms":1790000600000,"kind":"ticket.confirm","made_ms":1790000000000,"nonce":"AQEBAQEBAQEBAQEBAQEBAQ"}',
    )
  })

  it('has an id that does not depend on the signature', () => {
    const { id, jws } = signRecord(draft, key)
    const input = jws.slice(0, jws.lastIndexOf('.'))
    expect(id).toBe(createHash('sha256').update(input).digest('base64url'))
    expect(recordId(input + '.' + encodeBase64Url(new Uint8Array(64)))).toBe(id)
  })

  it('comes back from its text and verifies', () => {
    const { jws, payload } = signRecord(draft, key)
    const parsed = parseRecord(jws)
    expect(parsed.payload).toEqual(payload)
    expect(verifyJws(parsed.jws, key.jwk)).toBe(true)
    expect(verifyJws(parsed.jws, deviceKey(8).jwk)).toBe(false)
  })

  it.each([
    { lifetimeMs: 0 },
    { lifetimeMs: 86_400_001 },
    { nonce: new Uint8Array(15) },
    { body: { text: 'x'.repeat(45_000) } },
  ])('is not made outside its bounds: %o', (change) => {
    expect(() => signRecord({ ...draft, ...change }, key)).toThrow()
  })

  it('is not read with another header, shape or base64', () => {
    const [header, payload, signature] = signRecord(draft, key).jws.split('.') as [string, string, string]
    const text = decodeBase64Url(header).reduce((made, byte) => made + String.fromCharCode(byte), '')
    const spaced = encodeBase64Url(encodeUtf8(text.replace(',', ', ')))
    const session = encodeBase64Url(encodeUtf8(text.replace('record', 'session')))
    const bare = encodeBase64Url(encodeUtf8('{"author":"m-001"}'))
    const bad = [
      [spaced, payload, signature],
      [session, payload, signature],
      [header, bare, signature],
      [header, payload, ''],
      [header, payload + '=', signature],
      [header, payload],
      [header, payload, signature, signature],
    ]
    for (const parts of bad) expect(() => parseRecord(parts.join('.'))).toThrow()
  })
})

describe('private value', () => {
  it('is committed as SHA-256 of 0x02, salt and canonical value', () => {
    const salt = new Uint8Array(16).fill(9)
    const { commitment, opening } = commit('同意', salt)
    const expected = createHash('sha256').update(Buffer.of(2)).update(salt).update('"同意"').digest('base64url')
    expect(commitment).toBe(expected)
    expect(open(commitment, opening)).toBe('同意')
  })

  it('opens only what was committed', () => {
    const one = commit('yes', new Uint8Array(16).fill(1))
    const other = commit('yes', new Uint8Array(16).fill(2))
    expect(one.commitment).not.toBe(other.commitment)
    expect(() => open(one.commitment, other.opening)).toThrow()
    expect(() => commit('yes', new Uint8Array(8))).toThrow()
  })
})

describe('session proof', () => {
  it('is bound to challenge, cluster and node', () => {
    const text = signSessionProof({ challenge: 'c', clusterId: 'i', node: 'street' }, key)
    const jws = parseJws('linli-session+jws', text)
    expect(Buffer.from(jws.payload).toString()).toBe('{"challenge":"c","cluster_id":"i","node":"street"}')
    expect(verifyJws(jws, key.jwk)).toBe(true)
    expect(() => parseRecord(text)).toThrow()
  })
})
