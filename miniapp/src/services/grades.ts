/** Receipts that two organisations confirmed become receipts that all confirmed: asked for when the list is opened. */

import { receiptNotes, upgradeReceipt } from './receipts'

/** Not the whole history at once: the newest are the ones that can still change. */
const ASKED_MAX = 5

/** True when some receipt got a better grade. Being offline is no reason to say anything. */
export async function refreshGrades(): Promise<boolean> {
  const waiting = receiptNotes()
    .filter((note) => note.grade === 'committed')
    .slice(0, ASKED_MAX)
  let isChanged = false
  for (const note of waiting) {
    const opened = await upgradeReceipt(note.id).catch(() => undefined)
    if (opened?.receipt.grade === 'sealed') isChanged = true
  }
  return isChanged
}
