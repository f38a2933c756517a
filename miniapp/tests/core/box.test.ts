import { describe, expect, it } from 'vitest'
import { x25519 } from '@noble/curves/ed25519.js'
import { decodeBase64Url, encodeBase64Url } from '../../src/core/base64'
import { BoxError, openWithSeed, sealBox, type BoxContext } from '../../src/core/box'
import { commit } from '../../src/core/record'

const bytes = (length: number, fill: number) => new Uint8Array(length).fill(fill)
const keys = [1, 2, 3].map((number) => x25519.getPublicKey(bytes(32, number)))
const ballot = commit('for', bytes(16, 9))
const opening = decodeBase64Url(ballot.opening)
const context: BoxContext = {
  clusterId: encodeBase64Url(bytes(32, 4)),
  commitment: ballot.commitment,
  keys,
  motion: encodeBase64Url(bytes(32, 5)),
  position: 7,
  question: 'lift',
}
const seed = bytes(32, 6)

describe('a box', () => {
  it('is opened by the seed that it was made of, and by no other', () => {
    const box = sealBox(opening, seed, context)
    expect(openWithSeed(box, seed, context)).toEqual(opening)
    expect(() => openWithSeed(box, bytes(32, 7), context)).toThrow(BoxError)
  })

  it('is void with any other byte', () => {
    const box = sealBox(opening, seed, context)
    for (let at = 0; at < box.length; at += 16) {
      const changed = box.map((byte, place) => (place === at ? byte ^ 1 : byte))
      expect(() => openWithSeed(changed, seed, context)).toThrow(BoxError)
    }
  })

  it('is of one length whatever the choice', () => {
    const lengths = ['for', 'against', 'a'.repeat(32)].map((choice) => {
      const value = commit(choice, bytes(16, 9))
      return sealBox(decodeBase64Url(value.opening), seed, { ...context, commitment: value.commitment }).length
    })
    expect(new Set(lengths)).toEqual(new Set([1 + 32 + 80 + 3 * 48]))
  })

  it('is not made for a key of small order, of a short seed, or of a long opening', () => {
    const weak = { ...context, keys: [keys[0]!, bytes(32, 0), keys[2]!] }
    expect(() => sealBox(opening, seed, weak)).toThrow(BoxError)
    expect(() => sealBox(opening, bytes(31, 6), context)).toThrow(BoxError)
    expect(() => sealBox(bytes(64, 0), seed, context)).toThrow(BoxError)
  })
})
