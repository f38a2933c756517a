/**
 * The keys that a motion's ballots are sealed to, as server/domain/ballot_keys.py checks them (DESIGN.md D35).
 * A phone checks them itself before it seals: a node that showed keys of its own making could read every box sent to it.
 */

import { x25519 } from '@noble/curves/ed25519.js'
import { decodeBase64Url, encodeBase64Url } from './base64'
import { KEY_BYTES } from './box'
import { concat } from './bytes'
import { canonicalBytes } from './canonical'
import { isMemberSignature } from './checkpoint'
import { encodeUtf8 } from './utf8'

export type KeyFault =
  | 'ballot_keys_of_others'
  | 'ballot_key_unfit'
  | 'ballot_key_twice'
  | 'ballot_key_not_announced'

export class KeyFaultError extends Error {
  constructor(readonly fault: KeyFault) {
    super(fault)
  }
}

/** An organisation's X25519 public key for one motion, signed with its attest key; both in base64url. */
export interface BallotKey {
  readonly key: string
  readonly member: string
  readonly signature: string
}

/** A member of the epoch in which the keys were ordered, with its attest key (Ed25519, 32 bytes). */
export interface Announcer {
  readonly id: string
  readonly attestKey: Uint8Array
}

const STATEMENT = encodeUtf8('linli/ballot-key/v1\n')
const ANY_SECRET = new Uint8Array(KEY_BYTES)
/** 2^255 - 19, least byte first. */
const FIELD = Uint8Array.from({ length: KEY_BYTES }, (_, at) => (at === 0 ? 0xed : at === KEY_BYTES - 1 ? 0x7f : 0xff))

/** The public keys for `BoxContext`, in the order of members. Throws KeyFaultError with the first fault. */
export function readBallotKeys(
  keys: readonly BallotKey[],
  motion: string,
  clusterId: string,
  members: readonly Announcer[],
): Uint8Array[] {
  if (keys.map(({ member }) => member).join() !== members.map(({ id }) => id).join()) {
    throw new KeyFaultError('ballot_keys_of_others')
  }
  const publicKeys = keys.map(({ key }) => decode(key, 'ballot_key_unfit'))
  if (!publicKeys.every(isFit)) throw new KeyFaultError('ballot_key_unfit')
  if (new Set(publicKeys.map(encodeBase64Url)).size !== keys.length) throw new KeyFaultError('ballot_key_twice')
  keys.forEach(({ key, member, signature }, number) => {
    const message = concat(STATEMENT, canonicalBytes({ cluster_id: clusterId, key, member, motion }))
    const bytes = decode(signature, 'ballot_key_not_announced')
    if (!isMemberSignature(bytes, message, members[number]!.attestKey)) {
      throw new KeyFaultError('ballot_key_not_announced')
    }
  })
  return publicKeys
}

/** One spelling (below the field's prime), and not of small order, where the secret would be zero (RFC 7748 6.1). */
function isFit(key: Uint8Array): boolean {
  if (key.length !== KEY_BYTES || !isBelowField(key)) return false
  try {
    x25519.getSharedSecret(ANY_SECRET, key)
    return true
  } catch {
    return false
  }
}

function isBelowField(key: Uint8Array): boolean {
  for (let at = KEY_BYTES - 1; at >= 0; at--) {
    if (key[at] !== FIELD[at]) return key[at]! < FIELD[at]!
  }
  return false
}

function decode(text: string, fault: KeyFault): Uint8Array {
  try {
    return decodeBase64Url(text)
  } catch {
    throw new KeyFaultError(fault)
  }
}
