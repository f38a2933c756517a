/** Evidence as a node keeps it (DESIGN.md D21), put together apart from src/core: parts behind their lengths. */

import { createHash } from 'node:crypto'
import { checkpointText, cosignatureLine, inclusionOf, leafOf, rootOf, type MemberId } from './log-builder'

export function pack(parts: readonly (Buffer | string)[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(Buffer.byteLength(part))
      return [length, Buffer.from(part)]
    }),
  )
}

export const idOf = (packed: Buffer): string => createHash('sha256').update(packed).digest('base64url')

/** What a node sends peers of a checkpoint: canonical JSON of the line and what it signs. */
export function lineText(member: MemberId, entries: readonly string[], signer = member): string {
  const root = rootOf(entries.map(leafOf)).toString('base64url')
  const line = cosignatureLine(signer, checkpointText(entries)).trimEnd()
  return `{"line":"${line}","member":"${member}","root":"${root}","size":${entries.length}}`
}

/** Two leaves at `index`, where the logs are of two sizes. */
export function branchText(entries: readonly string[], index: number): string {
  const leaves = entries.map(leafOf)
  const proof = inclusionOf(index, leaves).map((hash) => `"${hash.toString('base64url')}"`)
  return `{"index":${index},"leaf":"${leaves[index]!.toString('base64url')}","proof":[${proof.join()}]}`
}

/** That a member signed both logs. */
export function packSplit(member: MemberId, one: readonly string[], other: readonly string[], index = 0): Buffer {
  const logs = [one, other].sort((a, b) => (lineText(member, a) < lineText(member, b) ? -1 : 1))
  const statements = logs.flatMap((log) => ['COSIGN', lineText(member, log), ''])
  const branches = one.length === other.length ? [] : logs.map((log) => branchText(log, index))
  return pack(['split_checkpoint', member, ...statements, ...branches])
}

/** Two statements of another offence. A phone has no key for them, so their signatures are of nobody. */
export function packVotes(offence: string, member: MemberId): Buffer {
  const vote = (block: string) => `{"block_id":"${block.repeat(43)}","epoch":0,"height":36,"sender":"${member}","view":0}`
  const signature = Buffer.alloc(64, 7)
  return pack([offence, member, 'PREPARE', vote('A'), signature, 'PREPARE', vote('B'), signature])
}
