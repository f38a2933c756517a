/** SHA-256 (FIPS 180-4), by noble: the WeChat runtime has no `crypto`. */

import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js'
import { concat } from './bytes'

export const DIGEST_BYTES = 32

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  return nobleSha256(concat(...parts))
}
