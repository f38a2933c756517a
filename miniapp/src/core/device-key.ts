/**
 * The device key: P-256, ES256 with r||s (RFC 7518 3.4), named by its RFC 7638 thumbprint.
 * Touches no source of randomness: the caller brings 48 random bytes from the platform.
 */

import { p256 } from '@noble/curves/nist.js'
import { concat } from './bytes'
import { decodeBase64Url, encodeBase64Url } from './base64'
import { canonicalBytes, type Json } from './canonical'
import { sha256 } from './digest'

/** Public key as JSON Web Key (RFC 7517); `x` and `y` are 32 bytes in b64u. */
export interface PublicJwk {
  readonly crv: 'P-256'
  readonly kty: 'EC'
  readonly x: string
  readonly y: string
}

export interface DeviceKey {
  readonly secret: Uint8Array
  readonly jwk: PublicJwk
  readonly kid: string
}

export class KeyError extends Error {}

/** 48 bytes, so that reducing them modulo the group order leaves no bias (FIPS 186-5 A.2.1). */
export const SEED_BYTES = 48
const COORDINATE_BYTES = 32
const UNCOMPRESSED = Uint8Array.of(4)

export function deviceKeyFromSeed(seed: Uint8Array): DeviceKey {
  if (seed.length !== SEED_BYTES) throw new KeyError(`${SEED_BYTES} random bytes needed`)
  const secret = p256.utils.randomSecretKey(seed)
  const point = p256.getPublicKey(secret, false)
  const jwk: PublicJwk = {
    crv: 'P-256',
    kty: 'EC',
    x: encodeBase64Url(point.slice(1, 1 + COORDINATE_BYTES)),
    y: encodeBase64Url(point.slice(1 + COORDINATE_BYTES)),
  }
  return { secret, jwk, kid: thumbprint(jwk) }
}

/** RFC 7638 3: SHA-256 over the required members in lexicographic order, without spaces. */
export function thumbprint(jwk: PublicJwk): string {
  return encodeBase64Url(sha256(canonicalBytes({ crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y })))
}

/** Exactly the four members of a P-256 public key that lies on the curve, else KeyError. */
export function parseJwk(value: Json | undefined): PublicJwk {
  const jwk = value as unknown as PublicJwk
  if (typeof value !== 'object' || Object.keys(value).sort().join() !== 'crv,kty,x,y') throw new KeyError('members')
  if (jwk.crv !== 'P-256' || jwk.kty !== 'EC') throw new KeyError('curve')
  pointOf(jwk)
  return jwk
}

export function sign(key: DeviceKey, message: Uint8Array): Uint8Array {
  return p256.sign(message, key.secret, { lowS: true })
}

/** False for every bad input, never an exception. High and low s are both accepted: ids never depend on it. */
export function verifySignature(jwk: PublicJwk, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    return p256.verify(signature, message, pointOf(jwk), { lowS: false })
  } catch {
    return false
  }
}

function pointOf(jwk: PublicJwk): Uint8Array {
  let point: Uint8Array
  try {
    point = concat(UNCOMPRESSED, coordinate(jwk.x), coordinate(jwk.y))
  } catch {
    throw new KeyError('coordinate')
  }
  if (!p256.utils.isValidPublicKey(point)) throw new KeyError('not on the curve')
  return point
}

function coordinate(text: string): Uint8Array {
  const bytes = decodeBase64Url(text)
  if (bytes.length !== COORDINATE_BYTES) throw new KeyError('coordinate length')
  return bytes
}
