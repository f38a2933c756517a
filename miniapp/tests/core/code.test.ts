import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { codeHash, encodeCode, readCode, spaceCode } from '../../src/core/code'
import { qrDataUrl } from '../../src/core/qr'

describe('one-time code', () => {
  it('is 26 characters without look-alikes, different for different bytes', () => {
    const codes = Array.from({ length: 256 }, (_, fill) => encodeCode(new Uint8Array(16).fill(fill)))
    for (const code of codes) expect(code).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/)
    expect(new Set(codes).size).toBe(256)
    expect(() => encodeCode(new Uint8Array(15))).toThrow()
  })

  it('stands on the ledger only as its digest', () => {
    const code = encodeCode(new Uint8Array(16).fill(3))
    expect(codeHash(code)).toBe(createHash('sha256').update(code).digest('base64url'))
  })

  it('is read as people type it', () => {
    expect(readCode(' abcd-01oi ')).toBe('ABCD0101')
    expect(readCode(spaceCode('ABCDEFGH'))).toBe('ABCDEFGH')
    for (const text of ['', 'ABCDEFG', 'ABCDEFGU', 'http://x', 'ABCDEFGHJ']) expect(readCode(text)).toBeNull()
  })

  it('is shown as a picture that carries itself', () => {
    expect(qrDataUrl('ABCD')).toMatch(/^data:image\/gif;base64,/)
    expect(qrDataUrl('ABCD')).not.toBe(qrDataUrl('ABCE'))
  })
})
