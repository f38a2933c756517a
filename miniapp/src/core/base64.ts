/**
 * Base64 (RFC 4648) in the two forms we use, both strict: every byte string has exactly one text.
 * `b64u`: url alphabet, no padding, zero trailing bits (records, JSON).
 * `b64`: standard alphabet with padding (C2SP texts).
 */

export class Base64Error extends Error {}

const COMMON = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const URL_ALPHABET = COMMON + '-_'
const STANDARD_ALPHABET = COMMON + '+/'

export function encodeBase64Url(bytes: Uint8Array): string {
  return encode(bytes, URL_ALPHABET)
}

export function decodeBase64Url(text: string): Uint8Array {
  return decode(text, URL_ALPHABET)
}

export function encodeBase64(bytes: Uint8Array): string {
  const text = encode(bytes, STANDARD_ALPHABET)
  return text + '='.repeat((4 - (text.length % 4)) % 4)
}

export function decodeBase64(text: string): Uint8Array {
  if (text.length % 4 !== 0) throw new Base64Error('padding')
  const bare = text.replace(/={1,2}$/, '')
  if (text.length - bare.length !== (4 - (bare.length % 4)) % 4) throw new Base64Error('padding')
  return decode(bare, STANDARD_ALPHABET)
}

function encode(bytes: Uint8Array, alphabet: string): string {
  let text = ''
  let bits = 0
  let held = 0
  for (const byte of bytes) {
    held = (held << 8) | byte
    for (bits += 8; bits >= 6; ) {
      bits -= 6
      text += alphabet[(held >> bits) & 63]
    }
    held &= 255
  }
  return bits > 0 ? text + alphabet[(held << (6 - bits)) & 63] : text
}

function decode(text: string, alphabet: string): Uint8Array {
  if (text.length % 4 === 1) throw new Base64Error('length')
  const out = new Uint8Array(Math.floor((text.length * 3) / 4))
  let length = 0
  let bits = 0
  let held = 0
  for (const character of text) {
    const value = alphabet.indexOf(character)
    if (value < 0) throw new Base64Error('alphabet')
    held = ((held << 6) | value) & 0xfff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      out[length++] = (held >> bits) & 255
    }
  }
  if ((held & ((1 << bits) - 1)) !== 0) throw new Base64Error('trailing bits')
  return out
}
