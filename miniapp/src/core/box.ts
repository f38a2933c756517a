/**
 * The box of a ballot: its opening, encrypted so that only a majority of the organisations together can read it.
 * Byte for byte what server/record/box.py makes (DESIGN.md D35); everything follows from one seed, which the caller
 * draws and keeps: it is how the voter's own phone reads the box. It must not know records, the network or randomness.
 */

import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { x25519 } from '@noble/curves/ed25519.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js'
import { encodeBase64Url } from './base64'
import { concat, equal } from './bytes'
import { canonicalBytes } from './canonical'
import { sha256 } from './digest'
import { commitmentOf } from './record'
import { split, thresholdOf } from './shares'
import { encodeUtf8 } from './utf8'

/** A seed, a private and a public key of X25519, a share. */
export const KEY_BYTES = 32
/** An opening with its length before it and zeros behind it: boxes of all choices are of one length. */
const CONTENT_BYTES = 64
const OPENING_BYTES_MAX = CONTENT_BYTES - 1
const TAG_BYTES = 16
const VERSION = Uint8Array.of(1)
const CONTENT_AT = VERSION.length + KEY_BYTES
/** Each key seals once. */
const NONCE = new Uint8Array(12)

export class BoxError extends Error {}

/** Which ballot a box belongs to and for whom it is sealed; `keys` are the organisations' in the order of members. */
export interface BoxContext {
  readonly clusterId: string
  readonly commitment: string
  readonly keys: readonly Uint8Array[]
  readonly motion: string
  readonly position: number
  readonly question: string
}

/** Raises BoxError for a seed or an opening of another length, and for a key under which anybody could read. */
export function sealBox(opening: Uint8Array, seed: Uint8Array, context: BoxContext): Uint8Array {
  if (seed.length !== KEY_BYTES) throw new BoxError('seed length')
  if (opening.length > OPENING_BYTES_MAX) throw new BoxError('opening too long')
  const salt = digestOf(context)
  const count = context.keys.length
  const powers = Array.from({ length: thresholdOf(count) - 1 }, (_, at) => at + 1)
  const coefficients = powers.map((power) => derive(seed, salt, encodeUtf8(`coefficient ${power}`)))
  const ephemeral = derive(seed, salt, encodeUtf8('ephemeral'))
  const ephemeralKey = x25519.getPublicKey(ephemeral)
  const shares = split(seed, coefficients, count).map((share, number) => {
    const key = context.keys[number]!
    const purpose = concat(encodeUtf8('share'), ephemeralKey, key)
    return cipher(derive(agree(ephemeral, key), salt, purpose)).encrypt(share)
  })
  const content = cipher(derive(seed, salt, encodeUtf8('content'))).encrypt(pad(opening))
  return concat(VERSION, ephemeralKey, content, ...shares)
}

/** The opening in the box that was made of this seed. Raises BoxError for any other box. */
export function openWithSeed(box: Uint8Array, seed: Uint8Array, context: BoxContext): Uint8Array {
  const sealed = box.slice(CONTENT_AT, CONTENT_AT + CONTENT_BYTES + TAG_BYTES)
  let padded: Uint8Array
  try {
    padded = cipher(derive(seed, digestOf(context), encodeUtf8('content'))).decrypt(sealed)
  } catch {
    throw new BoxError('void')
  }
  const opening = padded.slice(1, 1 + padded[0]!)
  const fits = opening.length === padded[0] && commitmentOf(opening) === context.commitment
  if (!fits || !equal(sealBox(opening, seed, context), box)) throw new BoxError('void')
  return opening
}

function digestOf(context: BoxContext): Uint8Array {
  const members = {
    cluster_id: context.clusterId,
    commitment: context.commitment,
    keys: context.keys.map(encodeBase64Url),
    motion: context.motion,
    position: context.position,
    question: context.question,
    threshold: thresholdOf(context.keys.length),
  }
  return sha256(encodeUtf8('linli/box\n'), canonicalBytes(members))
}

/** Noble refuses keys of small order, whose secret would be zero (RFC 7748 6.1). */
function agree(secret: Uint8Array, key: Uint8Array): Uint8Array {
  try {
    return x25519.getSharedSecret(secret, key)
  } catch {
    throw new BoxError('key')
  }
}

function derive(secret: Uint8Array, salt: Uint8Array, purpose: Uint8Array): Uint8Array {
  return hkdf(nobleSha256, secret, salt, purpose, KEY_BYTES)
}

const cipher = (key: Uint8Array) => chacha20poly1305(key, NONCE)

function pad(opening: Uint8Array): Uint8Array {
  const padded = new Uint8Array(CONTENT_BYTES)
  padded[0] = opening.length
  padded.set(opening, 1)
  return padded
}
