/**
 * UTF-8 without TextEncoder, which the WeChat runtime does not have.
 * Strict both ways (RFC 3629): a lone surrogate, an overlong form or a cut sequence is an error, never U+FFFD,
 * because what is signed must come back as the same bytes.
 */

export class Utf8Error extends Error {}

export function encodeUtf8(text: string): Uint8Array {
  const out: number[] = []
  for (const character of text) pushCodePoint(out, character.codePointAt(0)!)
  return Uint8Array.from(out)
}

function pushCodePoint(out: number[], point: number): void {
  if (point >= 0xd800 && point <= 0xdfff) throw new Utf8Error('lone surrogate')
  if (point < 0x80) out.push(point)
  else if (point < 0x800) out.push(0xc0 | (point >> 6), tail(point))
  else if (point < 0x10000) out.push(0xe0 | (point >> 12), tail(point >> 6), tail(point))
  else out.push(0xf0 | (point >> 18), tail(point >> 12), tail(point >> 6), tail(point))
}

const tail = (bits: number): number => 0x80 | (bits & 0x3f)

/** Smallest code point that needs as many bytes: anything below is an overlong form. */
const SMALLEST = [0, 0, 0x80, 0x800, 0x10000] as const

export function decodeUtf8(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes[at]!)
    text += String.fromCodePoint(readCodePoint(bytes, at, length))
    at += length
  }
  return text
}

function sequenceLength(first: number): 1 | 2 | 3 | 4 {
  if (first < 0x80) return 1
  if (first >= 0xc2 && first < 0xe0) return 2
  if (first >= 0xe0 && first < 0xf0) return 3
  if (first >= 0xf0 && first < 0xf5) return 4
  throw new Utf8Error('bad first byte')
}

function readCodePoint(bytes: Uint8Array, at: number, length: 1 | 2 | 3 | 4): number {
  if (length === 1) return bytes[at]!
  let point = bytes[at]! & (0xff >> (length + 1))
  for (let offset = 1; offset < length; offset++) {
    const byte = bytes[at + offset]
    if (byte === undefined || (byte & 0xc0) !== 0x80) throw new Utf8Error('cut sequence')
    point = (point << 6) | (byte & 0x3f)
  }
  if (point < SMALLEST[length] || (point >= 0xd800 && point <= 0xdfff) || point > 0x10ffff) {
    throw new Utf8Error('overlong or out of range')
  }
  return point
}
