/** What the phone reads of genesis.json (DESIGN.md 2.3): the id of the cluster and the members' consensus keys. */

import { decodeBase64Url, encodeBase64Url } from './base64'
import { isJsonObject, parseCanonical, type Json } from './canonical'
import { DIGEST_BYTES, sha256 } from './digest'
import type { ConsensusKeys } from './evidence'
import { encodeUtf8 } from './utf8'

export class GenesisError extends Error {}

/** Whether these are the bytes that the phone trusts is for the caller to compare: their SHA-256 is the cluster's id. */
export function readConsensusKeys(text: string): ConsensusKeys {
  const value = parseCanonical(text)
  const members = isJsonObject(value) ? value['members'] : undefined
  if (!Array.isArray(members)) throw new GenesisError('no members')
  return { clusterId: encodeBase64Url(sha256(encodeUtf8(text))), keys: new Map(members.map(readMember)) }
}

function readMember(member: Json): [string, Uint8Array] {
  const { id, consensus_key: encoded } = isJsonObject(member) ? member : {}
  if (typeof id !== 'string' || typeof encoded !== 'string') throw new GenesisError('member')
  const key = decodeBase64Url(encoded)
  if (key.length !== DIGEST_BYTES) throw new GenesisError('key')
  return [id, key]
}
