/**
 * Whom a piece of evidence proves guilty in an epoch (consensus.md 1.4): two statements of one member that no honest
 * member makes, checked with the members' public keys alone. A resolution of a fork stands on it (DESIGN.md D32).
 */

import { decodeBase64Url } from './base64'
import { concat } from './bytes'
import { canonicalText, isJsonObject, parseCanonicalBytes, type Json, type JsonObject } from './canonical'
import { isMemberSignature } from './checkpoint'
import { EvidenceError, readEvidence, verifySplitEvidence, type Evidence, type Statement } from './evidence'
import type { Policy } from './policy'
import { encodeUtf8 } from './utf8'

/** Who could be guilty: the members of an epoch, and the policy that follows from them. */
export interface Accusable {
  readonly clusterId: string
  readonly epoch: number
  readonly members: readonly JsonObject[]
  readonly policy: Policy
}

const FIELDS: Readonly<Record<string, string>> = {
  PREPARE: 'block_id,epoch,height,sender,view',
  COMMIT: 'block_id,epoch,height,new_view,sender,view',
  'VIEW-CHANGE': 'epoch,last_block,last_height,prepared_block,prepared_view,sender,view',
  'NEW-VIEW': 'base_height,block_id,epoch,sender,view,view_changes',
}
const VOTES: readonly string[] = ['PREPARE', 'COMMIT']

/** The evidence, whose culprit it proves guilty; `packed` in base64url. Throws EvidenceError. */
export function findCulprit(packed: string, among: Accusable): Evidence {
  const evidence = readEvidence(packed)
  const member = among.members.find((one) => one['id'] === evidence.culprit)
  if (!member) throw new EvidenceError('against who is no member')
  if (evidence.offence === 'split_checkpoint') {
    verifySplitEvidence(evidence, among.policy)
    return evidence
  }
  const [first, second] = [evidence.first, evidence.second].map((one) => readSigned(one, member, among))
  const isProof = evidence.branches.length === 0 && offenceOf(evidence, first!, second!) === evidence.offence
  if (!isProof) throw new EvidenceError('the two statements are no evidence')
  return evidence
}

/** The body of a statement that the member signed in this epoch (DESIGN.md 2.6). */
function readSigned({ type, raw, signature }: Statement, member: JsonObject, among: Accusable): JsonObject {
  const body = parseCanonicalBytes(raw)
  if (!isJsonObject(body) || Object.keys(body).join() !== FIELDS[type]) throw new EvidenceError('members')
  const isOurs = body['sender'] === member['id'] && body['epoch'] === among.epoch
  const counts = ['height', 'view', 'last_height', 'prepared_view'].filter((name) => name in body)
  const head = encodeUtf8(`linli/pbft/v1\n${type}\n${among.clusterId}\n`)
  const key = decodeBase64Url(String(member['consensus_key']))
  const holds = isOurs && counts.every((name) => isCount(body[name])) && isMemberSignature(signature, concat(head, raw), key)
  if (!holds) throw new EvidenceError('not signed by the member in this epoch')
  return body
}

/** What it is to have said both, in the order that evidence has; empty where an honest member may. */
function offenceOf({ first, second }: Evidence, one: JsonObject, other: JsonObject): string {
  if (VOTES.includes(first.type) && VOTES.includes(second.type)) {
    const samePlace = one['view'] === other['view'] && one['height'] === other['height']
    return samePlace && one['block_id'] !== other['block_id'] ? 'double_vote' : ''
  }
  if (first.type === 'NEW-VIEW' && second.type === 'NEW-VIEW') {
    return one['view'] === other['view'] && canonicalText(one) !== canonicalText(other) ? 'double_new_view' : ''
  }
  return first.type === 'COMMIT' && second.type === 'VIEW-CHANGE' && hides(other, one) ? 'hidden_vote' : ''
}

function hides(change: JsonObject, vote: JsonObject): boolean {
  const [last, height] = [Number(change['last_height']), Number(vote['height'])]
  if (Number(change['view']) <= Number(vote['view']) || last >= height) return false
  const tells = change['prepared_block'] !== '' && last + 1 === height
  return !(tells && Number(change['prepared_view']) >= Number(vote['view']))
}

const isCount = (value: Json | undefined): boolean => Number.isSafeInteger(value) && Number(value) >= 0

/** Several pieces, in their order. Throws EvidenceError. */
export function findCulprits(packed: readonly string[], among: Accusable): readonly Evidence[] {
  return packed.map((one) => findCulprit(one, among))
}
