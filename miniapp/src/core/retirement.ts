/**
 * Evidence that a retired key signed on (consensus.md 1.4, E8; DESIGN.md D33): a signature that follows the very end of
 * the epoch in which the key was good. Trees, blocks and views that do not follow it prove nothing, however late they
 * are: at a fork an honest member signs such. Members, keys and ends follow from genesis by proven links.
 */

import { decodeBase64Url, encodeBase64, encodeBase64Url } from './base64'
import { concat, equal } from './bytes'
import { canonicalBytes, isJsonObject, parseCanonicalBytes, type JsonObject } from './canonical'
import { isMemberSignature, verifyCosignatureLine } from './checkpoint'
import { sha256 } from './digest'
import { parseEntry } from './entry'
import { EvidenceError, type Evidence } from './evidence'
import { leafHash, verifyInclusion } from './merkle'
import { parsePolicy } from './policy'
import type { Era } from './succession'
import { decodeUtf8, encodeUtf8 } from './utf8'

interface Ending {
  readonly height: number
  readonly index: number
  readonly blockId: string
  readonly entry: Uint8Array
  readonly before: Era
}

const PLACES = ['epoch', 'sender', 'view']
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  PREPARE: ['block_id', 'height', ...PLACES],
  COMMIT: ['block_id', 'height', 'new_view', ...PLACES],
  'VIEW-CHANGE': ['last_block', 'last_height', 'prepared_block', 'prepared_view', ...PLACES],
}
const HEADER = ['entries_bytes', 'entries_root', 'epoch', 'height', 'prev', 'proposer', 'rules', 'state_digest_prev', 'time_ms']

/** The last epoch that the key was good in. Throws EvidenceError unless the culprit signed on with it. `clusterId`: b64u. */
export function verifyRetiredEvidence(evidence: Evidence, eras: readonly Era[], clusterId: string): number {
  try {
    return verify(evidence, eras, clusterId)
  } catch (error) {
    throw error instanceof EvidenceError ? error : new EvidenceError((error as Error).message)
  }
}

function verify(evidence: Evidence, eras: readonly Era[], clusterId: string): number {
  const { culprit, first, offence, second } = evidence
  if (offence !== 'retired_key' || second.type !== 'ENTRY' || second.signature.length > 0) throw new EvidenceError('form')
  const at = eras.findIndex((era) => era.end !== undefined && equal(encodeUtf8(era.end), second.raw))
  if (at < 1) throw new EvidenceError('no epoch ended with this entry')
  const [before, after] = [eras[at - 1]!, eras[at]!]
  const ending = endingOf(second.raw, before)
  if (first.type === 'COSIGN') {
    if (cosignKey(after, culprit) === cosignKey(before, culprit)) throw new EvidenceError('the key stayed')
    verifyLine(evidence, ending)
  } else {
    const key = before.voters?.[culprit]
    if (key === undefined || after.voters?.[culprit] === key) throw new EvidenceError('the key stayed')
    verifyVote(evidence, ending, decodeBase64Url(key), clusterId)
  }
  return at - 1
}

function endingOf(entry: Uint8Array, before: Era): Ending {
  const { height, index, ...rest } = parseEntry(decodeUtf8(entry))
  const blockId = 'system' in rest ? String(rest.system.body['block_id']) : ''
  return { height, index, blockId, entry, before }
}

function cosignKey({ policy }: Era, member: string): string | undefined {
  const key = parsePolicy(policy).witnesses.get(member)
  return key && encodeBase64(key.key)
}

function verifyLine({ branches, culprit, first }: Evidence, { before, entry, index }: Ending): void {
  const { line, member, root, size } = readObject(first.raw, ['line', 'member', 'root', 'size'])
  if (first.signature.length > 0 || member !== culprit || branches.length !== 1) throw new EvidenceError('not a line')
  if (typeof line !== 'string' || !Number.isSafeInteger(size)) throw new EvidenceError('line')
  const { origin, witnesses } = parsePolicy(before.policy)
  const tree = decodeBase64Url(String(root))
  verifyCosignatureLine(line, `${origin}\n${String(size)}\n${encodeBase64(tree)}\n`, witnesses.get(culprit)!)
  const branch = readObject(branches[0]!, ['index', 'leaf', 'proof'])
  const leaf = leafHash(entry)
  const isOfEnd = branch['index'] === index && branch['leaf'] === encodeBase64Url(leaf)
  if (!isOfEnd || !Array.isArray(branch['proof'])) throw new EvidenceError('not the branch of the end')
  verifyInclusion(leaf, index, Number(size), branch['proof'].map((hash) => decodeBase64Url(String(hash))), tree)
}

function verifyVote({ branches, culprit, first }: Evidence, ending: Ending, key: Uint8Array, clusterId: string): void {
  const names = MEMBERS[first.type]
  if (!names) throw new EvidenceError('a statement of another type')
  const said = readObject(first.raw, names)
  const message = concat(encodeUtf8(`linli/pbft/v1\n${first.type}\n${clusterId}\n`), first.raw)
  const isSigned = said['sender'] === culprit && isMemberSignature(first.signature, message, key)
  if (!isSigned) throw new EvidenceError('not signed with the retired key')
  const follows =
    first.type === 'VIEW-CHANGE'
      ? branches.length === 0 && said['last_height'] === ending.height && said['last_block'] === ending.blockId
      : branches.length === 1 && isBehind(said, branches[0]!, ending, clusterId)
  if (!follows) throw new EvidenceError('it does not follow the end of the epoch')
}

/** Whether the vote is for a block whose header names the last one of the epoch as the one before. */
function isBehind(said: JsonObject, shown: Uint8Array, { blockId, height }: Ending, clusterId: string): boolean {
  const header = readObject(shown, HEADER)
  const prefix = concat(encodeUtf8('linli/block/v1\n'), decodeBase64Url(clusterId), encodeUtf8('\n'))
  const id = encodeBase64Url(sha256(concat(prefix, canonicalBytes(header))))
  const isNext = header['height'] === height + 1 && said['height'] === height + 1
  return isNext && header['prev'] === blockId && said['block_id'] === id
}

function readObject(raw: Uint8Array, names: readonly string[]): JsonObject {
  const value = parseCanonicalBytes(raw)
  const isOfForm = isJsonObject(value) && Object.keys(value).sort().join() === [...names].sort().join()
  if (!isOfForm) throw new EvidenceError('members')
  return value
}
