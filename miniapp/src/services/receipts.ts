/** Receipts kept on this phone: verified by itself when they came, and again whenever one is opened. */

import { isBetter, type Grade } from '../core/policy'
import { receiptCode, verifyReceipt, type VerifiedReceipt } from '../core/receipt'
import { api } from './api'
import { observe } from './checkpoints'
import type { OutboxItem } from './outbox'
import { call } from './platform'
import { store } from './store'
import { trustedKeys, trustedPolicies } from './trust'

export interface ReceiptNote {
  readonly id: string
  readonly kind: string
  readonly title: string
  readonly atMs: number
  readonly outcome: string
  readonly grade: Grade
  readonly code: string
  /** Organisations that the grade does without, because the log bars them; absent in older notes. */
  readonly barred?: readonly string[]
}

/**
 * Verifies a receipt against what this phone trusts. Evidence of votes needs genesis too, which is asked for only then;
 * without it the member in question is counted like everybody else. Throws ReceiptError.
 */
export async function verifyTrusted(text: string): Promise<VerifiedReceipt> {
  const policy = await trustedPolicies()
  const receipt = verifyReceipt(text, policy)
  if (receipt.barrings.every((one) => one.isVerified)) return receipt
  const keys = await trustedKeys()
  return keys ? verifyReceipt(text, policy, keys) : receipt
}

export const barredIn = ({ barrings }: VerifiedReceipt): readonly string[] =>
  barrings.filter((one) => one.isVerified).map((one) => one.culprit)

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
    barred: barredIn(receipt),
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
  return { note, text, receipt: await verifyTrusted(text) }
}

/** Two signatures become three: asks for the newer receipt and keeps it when it verifies and says more. */
export async function upgradeReceipt(id: string): Promise<OpenedReceipt | undefined> {
  const held = await openReceipt(id)
  if (!held || held.receipt.grade === 'witnessed') return held
  const text = await api.receipt(id)
  const receipt = await verifyTrusted(text)
  if (receipt.record?.id !== id || !isBetter(receipt.grade, held.receipt.grade)) return held
  await observe({ note: receipt.checkpoint.note })
  keepReceipt({ ...held.note, id }, text, receipt)
  return openReceipt(id)
}

export async function exportReceipt(id: string): Promise<void> {
  const text = store.readReceipt(id)
  if (text === undefined) return
  const filePath = `${wx.env.USER_DATA_PATH}/linli-${id.slice(0, 8)}.txt`
  const files = wx.getFileSystemManager()
  await call(files.writeFile.bind(files), { filePath, data: text, encoding: 'utf8' })
  await call(wx.shareFileMessage, { filePath, fileName: `linli-receipt-${id.slice(0, 8)}.txt` })
}
