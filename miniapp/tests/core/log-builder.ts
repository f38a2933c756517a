/**
 * A small log for tests: keys, a policy, a Merkle tree and receipts, written apart from src/core so that the two
 * check one another (the tree is the recursive definition of RFC 6962 2.1, the texts are put together by hand).
 */

import { createHash } from 'node:crypto'
import { ed25519 } from '@noble/curves/ed25519.js'
import { deviceKeyFromSeed, type DeviceKey } from '../../src/core/device-key'
import { estateName, signRecord, type SignedRecord } from '../../src/core/record'
import type { JsonObject } from '../../src/core/canonical'

export const ORIGIN = 'linli.example/xiangshanyuan'
export const MEMBERS = ['owners', 'property', 'street'] as const
export const ESTATE = estateName('xiangshanyuan', 'q'.repeat(43))
export type MemberId = (typeof MEMBERS)[number]

const sha256 = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}
const ascii = (text: string): Buffer => Buffer.from(text, 'utf8')

export const deviceKey = (fill: number): DeviceKey => deviceKeyFromSeed(new Uint8Array(48).fill(fill))
const secretOf = (name: string): Uint8Array => sha256(ascii(`secret of ${name}`))

interface NoteKey {
  readonly name: string
  readonly id: Buffer
  readonly typed: Buffer
  readonly secret: Uint8Array
}

function noteKey(name: string, type: number, secret: Uint8Array): NoteKey {
  const typed = Buffer.concat([Buffer.of(type), ed25519.getPublicKey(secret)])
  return { name, typed, id: sha256(ascii(name + '\n'), typed).subarray(0, 4), secret }
}

export const vkey = (key: NoteKey): string => `${key.name}+${key.id.toString('hex')}+${key.typed.toString('base64')}`
export const logKey = (member: MemberId): NoteKey => noteKey(ORIGIN, 1, secretOf(`log ${member}`))
export const witnessKey = (member: MemberId): NoteKey =>
  noteKey(`${ORIGIN}/${member}`, 4, secretOf(`witness ${member}`))

export const POLICY = [
  ...MEMBERS.map((member) => `log ${vkey(logKey(member))}`),
  ...MEMBERS.map((member) => `witness ${member} ${vkey(witnessKey(member))}`),
  `group committed 2 ${MEMBERS.join(' ')}`,
  `group sealed all ${MEMBERS.join(' ')}`,
  'quorum committed',
  '',
].join('\n')

export function logLine(member: MemberId, text: string): string {
  const key = logKey(member)
  return `\u2014 ${key.name} ${Buffer.concat([key.id, ed25519.sign(ascii(text), key.secret)]).toString('base64')}\n`
}

export function cosignatureLine(member: MemberId, text: string, time = 1_790_000_000): string {
  const key = witnessKey(member)
  const stamp = Buffer.alloc(8)
  stamp.writeBigUInt64BE(BigInt(time))
  const signature = ed25519.sign(ascii(`cosignature/v1\ntime ${time}\n${text}`), key.secret)
  return `\u2014 ${key.name} ${Buffer.concat([key.id, stamp, signature]).toString('base64')}\n`
}

export const leafOf = (entry: string): Buffer => sha256(Buffer.of(0), ascii(entry))

export function rootOf(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return sha256()
  if (leaves.length === 1) return leaves[0]!
  const split = splitOf(leaves.length)
  return sha256(Buffer.of(1), rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)))
}

export function inclusionOf(index: number, leaves: readonly Buffer[]): Buffer[] {
  if (leaves.length === 1) return []
  const split = splitOf(leaves.length)
  return index < split
    ? [...inclusionOf(index, leaves.slice(0, split)), rootOf(leaves.slice(split))]
    : [...inclusionOf(index - split, leaves.slice(split)), rootOf(leaves.slice(0, split))]
}

/** RFC 6962 2.1.2, SUBPROOF. */
export function consistencyOf(size: number, leaves: readonly Buffer[], isWhole = true): Buffer[] {
  if (size === leaves.length) return isWhole ? [] : [rootOf(leaves)]
  const split = splitOf(leaves.length)
  return size <= split
    ? [...consistencyOf(size, leaves.slice(0, split), isWhole), rootOf(leaves.slice(split))]
    : [...consistencyOf(size - split, leaves.slice(split), false), rootOf(leaves.slice(0, split))]
}

function splitOf(size: number): number {
  let split = 1
  while (split * 2 < size) split *= 2
  return split
}

export function checkpointText(entries: readonly string[]): string {
  return `${ORIGIN}\n${entries.length}\n${rootOf(entries.map(leafOf)).toString('base64')}\n`
}

export function checkpointNote(entries: readonly string[], signers: readonly MemberId[] = MEMBERS): string {
  const text = checkpointText(entries)
  return text + '\n' + logLine('street', text) + signers.map((signer) => cosignatureLine(signer, text)).join('')
}

let made = 1_790_000_000_000

export function record(
  key: DeviceKey,
  kind: string,
  body: JsonObject,
  author = 'm-001',
  estate = ESTATE,
): SignedRecord {
  made += 1
  const nonce = sha256(ascii(String(made))).subarray(0, 16)
  return signRecord({ author, body, estate, kind, madeMs: made, lifetimeMs: 600_000, nonce }, key)
}

export function entryText(index: number, jws: string, outcome = 'accepted', height = 1): string {
  return `{"height":${height},"index":${index},"outcome":"${outcome}","record":"${jws}","time_ms":1790000000000}`
}

export const systemText = (index: number): string =>
  `{"height":1,"index":${index},"outcome":"accepted","system":{"body":{"n":${index}},"due_ms":0,"id":"i","key":"k","kind":"filler"},"time_ms":1}`

export function proofText(
  entries: readonly string[],
  index: number,
  key: Pick<DeviceKey, 'jwk'>,
  signers: readonly MemberId[] = MEMBERS,
): string {
  const { crv, kty, x, y } = key.jwk
  const extra = `{"device_key":{"crv":"${crv}","kty":"${kty}","x":"${x}","y":"${y}"},"entry":${JSON.stringify(entries[index])}}`
  const hashes = inclusionOf(index, entries.map(leafOf)).map((hash) => hash.toString('base64') + '\n')
  return [
    'c2sp.org/tlog-proof@v1\n',
    `extra ${ascii(extra).toString('base64')}\n`,
    `index ${index}\n`,
    ...hashes,
    '\n',
    checkpointNote(entries, signers),
  ].join('')
}
