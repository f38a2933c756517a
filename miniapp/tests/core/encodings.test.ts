import { describe, expect, it } from 'vitest'
import { decodeBase64, decodeBase64Url, encodeBase64, encodeBase64Url } from '../../src/core/base64'
import { decodeHex, encodeHex } from '../../src/core/hex'
import { decodeUtf8, encodeUtf8 } from '../../src/core/utf8'

const samples = Array.from({ length: 70 }, (_, length) =>
  Uint8Array.from({ length }, (_, at) => (at * 37 + length) % 256),
)

describe('UTF-8', () => {
  it('gives the same bytes as the platform for every plane', () => {
    for (const text of ['', 'abc', '同意/反对', 'é\u0000\u007f\u0080\u07ff\u0800\uffff', '𠮷野家😀']) {
      expect(encodeUtf8(text)).toEqual(new Uint8Array(Buffer.from(text)))
      expect(decodeUtf8(encodeUtf8(text))).toBe(text)
    }
  })

  it('refuses lone surrogates instead of replacing them', () => {
    expect(() => encodeUtf8('\ud800')).toThrow()
    expect(() => encodeUtf8('a\udc00b')).toThrow()
  })

  it.each(['c080', 'e08080', 'f0808080', 'eda080', 'f4908080', 'ff', '80', 'e4bd', 'c2', 'e4bd41'])(
    'refuses %s',
    (hex) => {
      expect(() => decodeUtf8(decodeHex(hex))).toThrow()
    },
  )
})

describe('base64', () => {
  it('agrees with the platform in both alphabets', () => {
    for (const bytes of samples) {
      expect(encodeBase64Url(bytes)).toBe(Buffer.from(bytes).toString('base64url'))
      expect(encodeBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'))
      expect(decodeBase64Url(encodeBase64Url(bytes))).toEqual(bytes)
      expect(decodeBase64(encodeBase64(bytes))).toEqual(bytes)
    }
  })

  it.each(['A', 'AB', 'AAB', 'AA==', 'AA=', 'A+/A', 'AA A', 'AAAAA'])(
    'refuses b64u %s: padding, trailing bits, alphabet',
    (text) => {
      expect(() => decodeBase64Url(text)).toThrow()
    },
  )

  it.each(['AA', 'AA=', 'AB==', 'AAB=', 'A===', 'AA==AA==', '-_AA', 'AAAA====', '=', '===='])(
    'refuses b64 %s',
    (text) => {
      expect(() => decodeBase64(text)).toThrow()
    },
  )
})

describe('hexadecimal', () => {
  it('is lower case, and reads nothing else', () => {
    for (const bytes of samples) expect(decodeHex(encodeHex(bytes))).toEqual(bytes)
    for (const text of ['a', 'AA', 'zz', '0x']) expect(() => decodeHex(text)).toThrow()
  })
})
