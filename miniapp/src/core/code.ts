/**
 * One-time codes: 128 random bits as 26 upper-case characters (Crockford's base 32: no I, L, O, U), and their short
 * typed alias of 8 characters. The ledger holds only the SHA-256 of a code.
 */

import { encodeBase64Url } from './base64'
import { sha256 } from './digest'
import { encodeUtf8 } from './utf8'

export const CODE_BYTES = 16
export const CODE_LENGTH = 26
export const ALIAS_LENGTH = 8
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

export class CodeError extends Error {}

export function encodeCode(bytes: Uint8Array): string {
  if (bytes.length !== CODE_BYTES) throw new CodeError('16 random bytes needed')
  let text = ''
  let bits = 0
  let held = 0
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff
    for (bits += 8; bits >= 5; ) {
      bits -= 5
      text += ALPHABET[(held >> bits) & 31]
    }
  }
  return text + ALPHABET[(held << (5 - bits)) & 31]
}

/** What the ledger holds: b64u of SHA-256 over the 26 ASCII characters. */
export function codeHash(code: string): string {
  return encodeBase64Url(sha256(encodeUtf8(code)))
}

/** What a person typed or a camera read, without spaces and dashes, look-alikes put right; null when it is no code. */
export function readCode(typed: string): string | null {
  const code = typed.toUpperCase().replace(/[\s-]/g, '').replace(/O/g, '0').replace(/[IL]/g, '1')
  const isKnown = [...code].every((character) => ALPHABET.includes(character))
  return isKnown && (code.length === CODE_LENGTH || code.length === ALIAS_LENGTH) ? code : null
}

/** Groups of four, as people read them aloud. */
export function spaceCode(code: string): string {
  return code.replace(/(.{4})(?=.)/g, '$1 ')
}
