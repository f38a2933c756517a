/**
 * Who the members are today: links from genesis, each a change that all operators signed, sealed by everybody who
 * stayed as it was, and the end of that epoch, signed by a quorum of the next one (DESIGN.md D26). Nothing else is
 * believed.
 */

import { decodeBase64Url, encodeBase64, encodeBase64Url } from './base64'
import { concat } from './bytes'
import { canonicalBytes, canonicalText, isJsonObject, parseCanonicalBytes, type Json, type JsonObject } from './canonical'
import { isMemberSignature, parseCheckpoint, verifyCosigned } from './checkpoint'
import { sha256 } from './digest'
import type { ConsensusKeys } from './evidence'
import { encodeHex } from './hex'
import { keyId, parsePolicy, TYPE_COSIGNATURE, TYPE_ED25519, type Policy } from './policy'
import { openProof } from './receipt'
import { parseRecord } from './record'
import { readResolution, type Resolution } from './resolution'
import { encodeUtf8 } from './utf8'

export class SuccessionError extends Error {}

export interface Link {
  readonly change: string
  readonly end: string
}

/** Members from a size of the log on: trees from `firstSize` on are theirs to sign. */
export interface Era {
  readonly policy: string
  readonly firstSize: number
  /**
   * The last entry of the era before, as the log has it; not where that was a fork, for honest members knew of no end
   * that was decided afterwards. Not there in what an earlier version of this app kept.
   */
  readonly end?: string
  /** The keys with which the members vote, by their ids. */
  readonly voters?: Readonly<Record<string, string>>
  /** Of sizes of which a fork made two trees: the policy of those who signed the abandoned one there (D32). */
  readonly lost?: string
}

interface Standing {
  readonly number: number
  readonly members: readonly JsonObject[]
  readonly numbers: Json
  readonly era: Era
  /** Where the epoch before ended in a fork: its sizes of which there were two trees. */
  readonly disputed?: Era
}

interface Founding {
  readonly clusterId: string
  readonly origin: string
  readonly mode: string
}

const ROTATED = ['consensus_key', 'cosign_key']
const STATEMENT = 'linli/membership/v1\n'

/** All eras that the links prove, oldest first; the one of genesis has no link. Throws SuccessionError. */
export function followLinks(genesisBytes: Uint8Array, links: readonly Link[]): readonly Era[] {
  const genesis = parseCanonicalBytes(genesisBytes)
  if (!isJsonObject(genesis) || !Array.isArray(genesis['members'])) throw new SuccessionError('not a genesis')
  const founding = {
    clusterId: encodeBase64Url(sha256(genesisBytes)),
    origin: String(genesis['origin']),
    mode: String(genesis['mode']),
  }
  const members = genesis['members'] as readonly JsonObject[]
  let now: Standing = { number: 0, members, numbers: genesis['policy']!, era: eraOf(founding, members, 0) }
  const eras = [now.era]
  const used = new Set(members.flatMap(namesOf))
  for (const link of links) {
    now = attempt(now.number, () => nextOf(founding, now, used, link))
    now.members.flatMap(namesOf).forEach((name) => used.add(name))
    if (now.disputed) eras.push(now.disputed)
    eras.push(now.era)
  }
  return eras
}

/** With which keys members vote, epoch by epoch. `clusterId`: base64url. */
export const consensusKeys = (clusterId: string, eras: readonly Era[]): ConsensusKeys => ({
  clusterId,
  keyOf: (epoch, member) => eras[epoch]?.voters?.[member],
})

/** The era whose members sign trees of this size. */
export function eraAt(eras: readonly Era[], size: number): Era {
  return [...eras].reverse().find((era) => era.firstSize <= size)!
}

function nextOf(founding: Founding, before: Standing, used: ReadonlySet<string>, link: Link): Standing {
  const policy = parsePolicy(before.era.policy)
  const { entry, note, index } = openProof(link.change)
  if ('system' in entry) return afterFork(founding, before, used, link)
  const sealed = verifyCosigned(note, policy)
  if (!('record' in entry) || entry.outcome !== 'accepted') throw new SuccessionError('the change took no effect')
  const { payload } = parseRecord(entry.record)
  const change = payload.kind === 'members.change' ? payload.body['change'] : undefined
  if (!isJsonObject(change) || change['epoch'] !== before.number) throw new SuccessionError('of another epoch')
  const members = change['members'] as readonly JsonObject[]
  checkStep(before, change, used)
  checkOperators(founding, before, change, payload.body['signatures'])
  const after = members.map(textOf)
  const staying = before.members.filter((member) => after.includes(textOf(member))).map(idOf)
  const unsigned = staying.filter((id) => !sealed.cosigned.has(id))
  if (unsigned.length > 0 || index >= sealed.size) throw new SuccessionError(`without ${unsigned.join()}'s signature`)
  const { end, firstSize } = endOf(founding, before, members, link.end, sealed.size)
  const era = { ...eraOf(founding, members, firstSize), end }
  return { number: before.number + 1, members, numbers: change['policy']!, era }
}

/** The next epoch begins with the resolution itself, right behind the tip that was kept (DESIGN.md D32). */
function afterFork(founding: Founding, before: Standing, used: ReadonlySet<string>, link: Link): Standing {
  const { members, number, numbers } = before
  const among = { clusterId: founding.clusterId, epoch: number, members, policy: parsePolicy(before.era.policy) }
  const { entry } = openProof(link.change)
  const said = readResolution(entry, among, numbers, used)
  const era = eraOf(founding, said.members, said.keptSize + 1)
  const policy = parsePolicy(era.policy)
  const [begin, end] = [link.change, link.end].map((text) => {
    const proof = openProof(text)
    const { cosigned } = verifyCosigned(proof.note, policy)
    if (cosigned.size < quorumOf(said.members.length, founding.mode)) throw new SuccessionError('the end is not signed')
    return proof
  })
  const isBehind = begin!.index === said.keptSize && begin!.entry.height === said.keptHeight + 1
  const last = end!.entry
  const isTip =
    'system' in last &&
    last.system.kind === 'block.leaf' &&
    last.system.body['epoch'] === number &&
    last.system.body['block_id'] === said.keptBlock
  const isAtTip = end!.index === said.keptSize - 1 && last.height === said.keptHeight
  if (!isBehind || !isTip || !isAtTip) throw new SuccessionError('the resolution does not stand behind the kept tip')
  const disputed = disputedEra(founding, members, said)
  return { number: number + 1, members: said.members, numbers, era, disputed }
}

/** Of these sizes there are two trees: one of those who held the kept branch must have signed. */
function disputedEra(founding: Founding, members: readonly JsonObject[], said: Resolution): Era {
  const firstSize = said.forkSize + 1
  const lost = members.filter((member) => said.lostBy.includes(idOf(member)))
  return {
    ...eraOf(founding, members, firstSize, said.heldBy),
    ...(lost.length > 0 ? { lost: eraOf(founding, lost, firstSize).policy } : {}),
  }
}

/** Who signed this checkpoint on a branch that operators have abandoned; nobody, for one of the ledger. */
export function abandonedBy(eras: readonly Era[], note: string): readonly string[] {
  return eras.flatMap(({ lost, firstSize }) => {
    if (lost === undefined || parseCheckpoint(note).size < firstSize) return []
    return [...verifyCosigned(note, parsePolicy(lost)).cosigned.keys()]
  })
}

/** The last entry of the epoch, and the size of the log with it, which a quorum of the next members has signed. */
function endOf(
  founding: Founding,
  before: Standing,
  members: readonly JsonObject[],
  text: string,
  sealedSize: number,
): { readonly end: string; readonly firstSize: number } {
  const { data, entry, note, index } = openProof(text)
  const { cosigned } = verifyCosigned(note, parsePolicy(eraOf(founding, members, 0).policy))
  if (cosigned.size < quorumOf(members.length, founding.mode)) throw new SuccessionError('the end is not signed')
  const isEnd =
    'system' in entry && entry.system.kind === 'block.leaf' && entry.system.body['epoch'] === before.number
  if (!isEnd || index < sealedSize) throw new SuccessionError('not the last entry of the epoch')
  return { end: data, firstSize: index + 1 }
}

/** One member came, went or has other keys, or the policy is another one; no id and no key comes back. */
function checkStep(before: Standing, change: JsonObject, used: ReadonlySet<string>): void {
  const old = new Map(before.members.map((member) => [idOf(member), member]))
  const now = new Map((change['members'] as readonly JsonObject[]).map((member) => [idOf(member), member]))
  const ids = [...new Set([...old.keys(), ...now.keys()])]
  const other = ids.filter((id) => textOf(old.get(id)) !== textOf(now.get(id)))
  const samePolicy = canonicalText(change['policy']!) === canonicalText(before.numbers)
  const [id] = other
  const isStep =
    change['kind'] === 'policy.set'
      ? other.length === 0 && !samePolicy
      : other.length === 1 && samePolicy && change['kind'] === kindOf(old.get(id!), now.get(id!))
  if (!isStep) throw new SuccessionError('not one step')
  const kept = id === undefined || !old.has(id) ? [] : namesOf(old.get(id)!)
  const fresh = id === undefined || !now.has(id) ? [] : namesOf(now.get(id)!).filter((name) => !kept.includes(name))
  if (fresh.some((name) => used.has(name))) throw new SuccessionError('an id or a key is used again')
}

function kindOf(before: JsonObject | undefined, after: JsonObject | undefined): string {
  if (!before) return 'node.add'
  if (!after) return 'node.remove'
  return textOf(withoutKeys(before)) === textOf(withoutKeys(after)) ? 'key.rotate' : ''
}

const withoutKeys = (member: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(member).filter(([name]) => !ROTATED.includes(name)))

/** Everybody who will be a member has signed, and nobody else; who was one, with the key that it had. */
function checkOperators(founding: Founding, before: Standing, change: JsonObject, lines: Json | undefined): void {
  const members = change['members'] as readonly JsonObject[]
  const keys = new Map([...members, ...before.members].map((member) => [idOf(member), String(member['operator_key'])]))
  const said = canonicalBytes({ change, cluster_id: founding.clusterId })
  const message = concat(encodeUtf8(STATEMENT), said)
  const signed = (Array.isArray(lines) ? (lines as readonly JsonObject[]) : []).map((line) => {
    const node = String(line['node'])
    const signature = decodeBase64Url(String(line['signature']))
    const holds = isMemberSignature(signature, message, decodeBase64Url(keys.get(node) ?? ''))
    if (!holds) throw new SuccessionError(`the operator's signature of ${node} does not hold`)
    return node
  })
  const wanted = members.map(idOf)
  const isAll = wanted.length === signed.length && wanted.every((id) => signed.includes(id))
  if (!isAll) throw new SuccessionError('not signed by the operators of all who are members then')
}

/** The policy file of these members, letter for letter as their nodes show it (DESIGN.md 2.5). */
function eraOf(
  { origin, mode }: Founding,
  members: readonly JsonObject[],
  firstSize: number,
  heldBy: readonly string[] = [],
): Era {
  const ids = members.map(idOf).join(' ')
  const lines = [
    ...members.map((member) => `log ${vkeyOf(origin, TYPE_ED25519, member['log_key'])}`),
    ...members.map(
      (member) =>
        `witness ${idOf(member)} ${vkeyOf(`${origin}/${idOf(member)}`, TYPE_COSIGNATURE, member['cosign_key'])}`,
    ),
    ...(heldBy.length === 0
      ? [`group committed ${quorumOf(members.length, mode)} ${ids}`]
      : [
          `group quorate ${quorumOf(members.length, mode)} ${ids}`,
          `group kept any ${heldBy.join(' ')}`,
          'group committed 2 quorate kept',
        ]),
    `group sealed all ${ids}`,
    'quorum committed',
  ]
  const voters = Object.fromEntries(members.map((member) => [idOf(member), String(member['consensus_key'])]))
  return { policy: lines.map((line) => line + '\n').join(''), firstSize, voters }
}

function vkeyOf(name: string, type: number, key: Json | undefined): string {
  const typed = concat(Uint8Array.of(type), decodeBase64Url(String(key)))
  return `${name}+${encodeHex(keyId(name, typed))}+${encodeBase64(typed)}`
}

/** PBFT: (n+f)//2+1 with f = (n-1)//3; in strict mode all. */
function quorumOf(n: number, mode: string): number {
  return mode === 'strict' ? n : Math.floor((n + Math.floor((n - 1) / 3)) / 2) + 1
}

const idOf = (member: JsonObject): string => String(member['id'])

const textOf = (member: JsonObject | undefined): string => (member ? canonicalText(member) : '')

const namesOf = (member: JsonObject): string[] =>
  Object.keys(member)
    .filter((name) => name === 'id' || name.endsWith('_key'))
    .map((name) => String(member[name]))

function attempt<Value>(number: number, action: () => Value): Value {
  try {
    return action()
  } catch (error) {
    throw new SuccessionError(`from epoch ${number}: ${(error as Error).message}`)
  }
}

/** The policy for a tree of each size: what verifies whatever was signed in any era. */
export function policyBySize(eras: readonly Era[]): (size: number) => Policy {
  const parsed = new Map<string, Policy>()
  return (size) => {
    const { policy } = eraAt(eras, size)
    if (!parsed.has(policy)) parsed.set(policy, parsePolicy(policy))
    return parsed.get(policy)!
  }
}
