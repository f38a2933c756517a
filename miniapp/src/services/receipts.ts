/** Receipts kept on this phone: verified by itself when they came, and again whenever one is opened. */

import type { Grade } from '../core/policy'
import { receiptCode, verifyReceipt, type VerifiedReceipt } from '../core/receipt'
import { decodeHex, encodeHex } from '../core/hex'
import { verifyConsistency } from '../core/merkle'
import { decodeBase64Url } from '../core/base64'
import { equal } from '../core/bytes'
import { api } from './api'
import type { NodeAddress } from './api-types'
import { nodesInOrder } from './nodes'
import type { OutboxItem } from './outbox'
import { call } from './platform'
import { store } from './store'
import { raiseAlarm, trustedPolicy } from './trust'

export interface ReceiptNote {
  readonly id: string
  readonly kind: string
  readonly title: string
  readonly atMs: number
  readonly outcome: string
  readonly grade: Grade
  readonly code: string
}

export function receiptNotes(): readonly ReceiptNote[] {
  return store.read('receipts') ?? []
}

export function keepReceipt(
  item: Pick<OutboxItem, 'id' | 'kind' | 'title'>,
  text: string,
  receipt: VerifiedReceipt,
): void {
  const note: ReceiptNote = {
    id: item.id,
    kind: item.kind,
    title: item.title,
    atMs: receipt.entry.time_ms,
    outcome: receipt.entry.outcome,
    grade: receipt.grade,
    code: receiptCode(receipt),
  }
  store.writeReceipt(item.id, text)
  const notes = receiptNotes()
  const isHeld = notes.some((one) => one.id === item.id)
  store.write('receipts', isHeld ? notes.map((one) => (one.id === item.id ? note : one)) : [note, ...notes])
}

export interface OpenedReceipt {
  readonly note: ReceiptNote
  readonly text: string
  readonly receipt: VerifiedReceipt
}

/** Throws ReceiptError when what is stored no longer verifies. */
export async function openReceipt(id: string): Promise<OpenedReceipt | undefined> {
  const note = receiptNotes().find((one) => one.id === id)
  const text = store.readReceipt(id)
  if (!note || text === undefined) return undefined
  return { note, text, receipt: verifyReceipt(text, await trustedPolicy()) }
}

/** Two signatures become three: asks for the newer receipt and keeps it when it verifies and says no less. */
export async function upgradeReceipt(id: string): Promise<OpenedReceipt | undefined> {
  const held = await openReceipt(id)
  if (!held || held.receipt.grade === 'sealed') return held
  const text = await api.receipt(id)
  const receipt = verifyReceipt(text, await trustedPolicy())
  if (receipt.record?.id !== id || receipt.grade !== 'sealed') return held
  await witness(receipt)
  keepReceipt({ ...held.note, id }, text, receipt)
  return openReceipt(id)
}

/**
 * The phone as a witness (ledger 4.6): the log a new receipt stands in must continue the one we saw before. A proof that
 * does not hold is an alarm; no proof at all is only no news.
 */
export async function witness(receipt: VerifiedReceipt): Promise<void> {
  const trust = store.read('trust')
  if (!trust) return
  const { size, root } = receipt.checkpoint
  const before = trust.witnessed
  if (before && size < before.size) return
  const isContinued = before ? await continues(before, size, root) : true
  if (isContinued === false) raiseAlarm('fork')
  if (isContinued === null) return
  store.write('trust', { ...trust, witnessed: { size, root: encodeHex(root) } })
}

/** Whether the log of this root continues the one seen before; null when nobody could prove it either way. */
async function continues(
  before: { size: number; root: string },
  size: number,
  root: Uint8Array,
): Promise<boolean | null> {
  const oldRoot = decodeHex(before.root)
  if (size === before.size) return equal(oldRoot, root)
  let wrong = 0
  for (const node of await nodesInOrder()) {
    const proof = await proofFrom(node, before.size, size)
    if (proof && holds(() => verifyConsistency(before.size, size, proof, oldRoot, root))) return true
    if (proof) wrong += 1
  }
  // One node may be broken; two that both fail to prove it are a fork until somebody shows otherwise.
  return wrong >= 2 ? false : null
}

/** undefined when the node is away, or what it says is no proof at all. */
async function proofFrom(node: NodeAddress, from: number, to: number): Promise<Uint8Array[] | undefined> {
  try {
    return (await api.consistency(node, from, to)).proof.map(decodeBase64Url)
  } catch {
    return undefined
  }
}

function holds(check: () => void): boolean {
  try {
    check()
    return true
  } catch {
    return false
  }
}

export async function exportReceipt(id: string): Promise<void> {
  const text = store.readReceipt(id)
  if (text === undefined) return
  const filePath = `${wx.env.USER_DATA_PATH}/linli-${id.slice(0, 8)}.txt`
  const files = wx.getFileSystemManager()
  await call(files.writeFile.bind(files), { filePath, data: text, encoding: 'utf8' })
  await call(wx.shareFileMessage, { filePath, fileName: `linli-receipt-${id.slice(0, 8)}.txt` })
}
