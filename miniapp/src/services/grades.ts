/**
 * Receipts that two organisations confirmed become receipts that all confirmed: asked for when a newer checkpoint of a
 * better grade covers them, and, as long as not all have confirmed, whenever the list is opened.
 */

import { isBetter } from '../core/policy'
import { seenCheckpoint } from './checkpoints'
import { receiptNotes, upgradeReceipt, type ReceiptNote } from './receipts'

/** Not the whole history at once: the newest are the ones that can still change. */
const ASKED_MAX = 5

/** True when some receipt got a better grade. Being offline is no reason to say anything. */
export async function refreshGrades(): Promise<boolean> {
  let isChanged = false
  for (const note of receiptNotes().filter(canImprove).slice(0, ASKED_MAX)) {
    const opened = await upgradeReceipt(note.id).catch(() => undefined)
    if (opened && isBetter(opened.receipt.grade, note.grade)) isChanged = true
  }
  return isChanged
}

function canImprove({ code, grade }: ReceiptNote): boolean {
  const seen = seenCheckpoint()
  const isCovered = seen !== undefined && isBetter(seen.grade, grade) && seen.size > indexOf(code)
  return isCovered || grade === 'committed'
}

/** A receipt's code names its place in the log. */
const indexOf = (code: string): number => Number(code.split(',')[1])
