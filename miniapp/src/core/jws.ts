/** JWS compact serialisation (RFC 7515 7.1), ES256, in the two types we sign. Headers are compared byte for byte. */

import { decodeBase64Url, encodeBase64Url } from './base64'
import { sign, verifySignature, type DeviceKey, type PublicJwk } from './device-key'
import { DIGEST_BYTES, sha256 } from './digest'
import { decodeUtf8, encodeUtf8 } from './utf8'

export type JwsType = 'linli-record+jws' | 'linli-session+jws'

export class JwsError extends Error {}

export interface Jws {
  readonly kid: string
  readonly payload: Uint8Array
  readonly signingInput: string
  readonly signature: Uint8Array
}

const SIGNATURE_BYTES = 64

export function signJws(type: JwsType, payload: Uint8Array, key: DeviceKey): string {
  const input = encodeBase64Url(header(type, key.kid)) + '.' + encodeBase64Url(payload)
  return input + '.' + encodeBase64Url(sign(key, encodeUtf8(input)))
}

/** Takes the text apart; says nothing yet about the signature. */
export function parseJws(type: JwsType, text: string): Jws {
  const parts = text.split('.')
  if (parts.length !== 3) throw new JwsError('three parts needed')
  const [head, body, tail] = parts as [string, string, string]
  const signature = decodeBase64Url(tail)
  if (signature.length !== SIGNATURE_BYTES) throw new JwsError('signature length')
  const kid = kidOf(decodeUtf8(decodeBase64Url(head)), type)
  return { kid, payload: decodeBase64Url(body), signingInput: head + '.' + body, signature }
}

export function verifyJws(jws: Jws, jwk: PublicJwk): boolean {
  return verifySignature(jwk, encodeUtf8(jws.signingInput), jws.signature)
}

/** Without the signature, so that a second valid signature is not a second record. */
export function jwsId(signingInput: string): string {
  return encodeBase64Url(sha256(encodeUtf8(signingInput)))
}

function header(type: JwsType, kid: string): Uint8Array {
  return encodeUtf8(`{"alg":"ES256","kid":"${kid}","typ":"${type}"}`)
}

function kidOf(text: string, type: JwsType): string {
  const found = /^\{"alg":"ES256","kid":"([A-Za-z0-9_-]+)","typ":"([a-z+-]+)"\}$/.exec(text)
  if (!found || found[2] !== type || decodeBase64Url(found[1]!).length !== DIGEST_BYTES) throw new JwsError('header')
  return found[1]!
}
