/**
 * What stays on the phone. Everything read back is what this app wrote, or nothing: a value of another version is dropped.
 * A key holds one thing; nothing here is a copy of what a node could answer, except receipts.
 */

import type { Settings } from './settings'
import type { OutboxItem } from './outbox'
import type { ReceiptNote } from './receipts'
import type { EstateTrust } from './trust'
import type { Doubt, SeenCheckpoint } from './checkpoints'
import type { KeptSplit } from './splits'
import type { BallotDraft, JoinDraft, TicketDraft } from './drafts'

export interface Member {
  readonly member: string
  readonly name: string
}

interface Stored {
  readonly settings: Settings
  readonly seed: string
  readonly privacy: { readonly version: number; readonly agreedMs: number }
  readonly member: Member
  readonly trust: EstateTrust
  /** The newest verified checkpoint of each estate, by cluster id. */
  readonly seen: Readonly<Record<string, SeenCheckpoint>>
  /** genesis.json as it was compared with the trust, for evidence of votes. */
  readonly genesis: string
  readonly doubt: Doubt
  /** The organisation that was asked besides the current one, and when. */
  readonly crossed: { readonly node: string; readonly atMs: number }
  readonly splits: readonly KeptSplit[]
  readonly outbox: readonly OutboxItem[]
  readonly receipts: readonly ReceiptNote[]
  readonly join: JoinDraft
  readonly ticket: TicketDraft
}

type StoredKey = keyof Stored

const PREFIX = 'linli.1.'

export const store = {
  read<Key extends StoredKey>(key: Key): Stored[Key] | undefined {
    return read(key) as Stored[Key] | undefined
  },
  write<Key extends StoredKey>(key: Key, value: Stored[Key]): void {
    wx.setStorageSync(PREFIX + key, value)
  },
  remove(key: StoredKey): void {
    wx.removeStorageSync(PREFIX + key)
  },
  readReceipt(id: string): string | undefined {
    return read('receipt.' + id) as string | undefined
  },
  writeReceipt(id: string, text: string): void {
    wx.setStorageSync(PREFIX + 'receipt.' + id, text)
  },
  readBallot(motion: string): BallotDraft | undefined {
    return read('ballot.' + motion) as BallotDraft | undefined
  },
  writeBallot(motion: string, draft: BallotDraft): void {
    wx.setStorageSync(PREFIX + 'ballot.' + motion, draft)
  },
  removeBallot(motion: string): void {
    wx.removeStorageSync(PREFIX + 'ballot.' + motion)
  },
}

/** WeChat answers '' for a key that does not exist. */
function read(key: string): unknown {
  const value = wx.getStorageSync(PREFIX + key)
  return value === '' || value === null ? undefined : value
}
