/**
 * Whose signatures count (c2sp.org/tlog-policy): lines `log`, `witness`, `group`, `quorum`.
 * Keys are in the vkey form of c2sp.org/signed-note: `<name>+<key id>+<b64 of type and key>`.
 */

import { decodeBase64 } from './base64'
import { equal } from './bytes'
import { DIGEST_BYTES, sha256 } from './digest'
import { encodeHex } from './hex'
import { encodeUtf8 } from './utf8'

export class PolicyError extends Error {}

export const TYPE_ED25519 = 0x01
export const TYPE_COSIGNATURE = 0x04
const KEY_ID_BYTES = 4

export interface VerifierKey {
  readonly name: string
  readonly type: typeof TYPE_ED25519 | typeof TYPE_COSIGNATURE
  readonly id: Uint8Array
  readonly key: Uint8Array
}

export interface Group {
  readonly threshold: number
  readonly members: readonly string[]
}

export interface Policy {
  /** All logs have the same name: the origin line of every checkpoint. */
  readonly origin: string
  readonly logs: readonly VerifierKey[]
  readonly witnesses: ReadonlyMap<string, VerifierKey>
  readonly groups: ReadonlyMap<string, Group>
  readonly quorum: string
}

export function parsePolicy(text: string): Policy {
  const building: Building = { logs: [], witnesses: new Map(), groups: new Map(), quorum: '' }
  if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(text)) throw new PolicyError('control character')
  for (const line of text.split('\n')) {
    const words = line.trim().split(/[ \t]+/)
    if (words[0] !== '' && !words[0]!.startsWith('#')) readLine(building, words)
  }
  const origin = building.logs[0]?.name
  if (origin === undefined || building.logs.some((log) => log.name !== origin)) throw new PolicyError('logs')
  if (!isKnown(building, building.quorum)) throw new PolicyError('quorum')
  return { origin, ...building }
}

export type Grade = (typeof GRADES)[number]
/** From the weakest: a quorum signed; every member did; and outside witnesses too, where the policy names any. */
export const GRADES = ['committed', 'sealed', 'witnessed'] as const

export const isBetter = (one: Grade, other: Grade): boolean => GRADES.indexOf(one) > GRADES.indexOf(other)

/**
 * The highest grade that these signers reach, by the groups of that name; null below the quorum. Who is barred counts
 * for nothing, and is not waited for.
 */
export function gradeOf(
  policy: Policy,
  signers: ReadonlySet<string>,
  barred: ReadonlySet<string> = new Set(),
): Grade | null {
  const counted = new Set([...signers].filter((name) => !barred.has(name)))
  if (!holds(policy, policy.quorum, counted)) return null
  const excused = new Set([...counted, ...barred])
  if (!policy.groups.has('sealed') || !holds(policy, 'sealed', excused)) return 'committed'
  return policy.groups.has('witnessed') && holds(policy, 'witnessed', counted) ? 'witnessed' : 'sealed'
}

function holds(policy: Policy, name: string, signers: ReadonlySet<string>): boolean {
  const group = policy.groups.get(name)
  if (!group) return signers.has(name)
  return group.members.filter((member) => holds(policy, member, signers)).length >= group.threshold
}

/** Is it a witness that `sealed` waits for? */
export function isMember(policy: Policy, name: string): boolean {
  return policy.witnesses.has(name) && (policy.groups.get('sealed')?.members.includes(name) ?? false)
}

interface Building {
  readonly logs: VerifierKey[]
  readonly witnesses: Map<string, VerifierKey>
  readonly groups: Map<string, Group>
  quorum: string
}

function readLine(building: Building, words: readonly string[]): void {
  const [keyword, name = '', third = ''] = words
  if (keyword === 'log') building.logs.push(newKey(building, parseVerifierKey(name, TYPE_ED25519)))
  else if (keyword === 'witness') {
    define(building, building.witnesses, name, newKey(building, parseVerifierKey(third, TYPE_COSIGNATURE)))
  } else if (keyword === 'group') define(building, building.groups, name, parseGroup(building, third, words.slice(3)))
  else if (keyword === 'quorum' && building.quorum === '') building.quorum = name
  else throw new PolicyError(`line "${keyword}"`)
}

/** A key under two names would be counted twice. */
function newKey(building: Building, key: VerifierKey): VerifierKey {
  const known = [...building.logs, ...building.witnesses.values()]
  if (known.some((other) => equal(other.key, key.key))) throw new PolicyError('key twice')
  return key
}

function define<Value>(building: Building, map: Map<string, Value>, name: string, value: Value): void {
  if (name === '' || name === 'none' || isKnown(building, name)) throw new PolicyError(`name "${name}"`)
  map.set(name, value)
}

function isKnown(building: Building, name: string): boolean {
  return building.witnesses.has(name) || building.groups.has(name)
}

/** Members must be defined above, so a group can never contain itself. */
function parseGroup(building: Building, count: string, members: readonly string[]): Group {
  if (members.length === 0 || new Set(members).size !== members.length) throw new PolicyError('members')
  if (!members.every((member) => isKnown(building, member))) throw new PolicyError('unknown member')
  const threshold = count === 'all' ? members.length : count === 'any' ? 1 : Number(count)
  if (!/^(all|any|[1-9]\d*)$/.test(count) || threshold > members.length) throw new PolicyError('threshold')
  return { threshold, members }
}

export function parseVerifierKey(text: string, type: VerifierKey['type']): VerifierKey {
  const found = /^([^\s+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text)
  if (!found) throw new PolicyError('key form')
  const [, name, id, encoded] = found as unknown as [string, string, string, string]
  const typed = decodeKey(encoded)
  if (typed[0] !== type || typed.length !== 1 + DIGEST_BYTES) throw new PolicyError('key type')
  const computed = keyId(name, typed)
  if (encodeHex(computed) !== id) throw new PolicyError('key id')
  return { name, type, id: computed, key: typed.slice(1) }
}

/** SHA-256(name || "\n" || type || public key)[:4]; `typed` is type byte and key. */
export function keyId(name: string, typed: Uint8Array): Uint8Array {
  return sha256(encodeUtf8(name + '\n'), typed).slice(0, KEY_ID_BYTES)
}

export function isSignedBy(key: VerifierKey, name: string, blob: Uint8Array): boolean {
  return key.name === name && equal(key.id, blob.slice(0, KEY_ID_BYTES))
}

function decodeKey(text: string): Uint8Array {
  try {
    return decodeBase64(text)
  } catch {
    throw new PolicyError('key encoding')
  }
}
