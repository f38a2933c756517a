/** Points: a merchant's one-time code, and the payment that only the resident's own phone can sign (decisions 17). */

import { CODE_BYTES, codeHash, encodeCode } from '../core/code'
import { api } from './api'
import type { MerchantOffer, Offer } from './api-types'
import type { Settlement } from './outbox'
import { randomBytes } from './platform'
import { serverNow, submit } from './records'

/** Time for a customer to open the app, scan and read. */
export const OFFER_MS = 120_000
export const AMOUNT_MAX = 100_000
export const UNDO_MS = 600_000

export interface MadeOffer {
  readonly settlement: Settlement
  /** What the ledger calls the offer: the digest of its code. */
  readonly offer: string
  readonly code: string
  readonly alias: string
  readonly dueMs: number
}

export async function makeOffer(amount: number, title: string): Promise<MadeOffer> {
  const code = encodeCode(await randomBytes(CODE_BYTES))
  const dueMs = Math.round(serverNow()) + OFFER_MS
  const offer = codeHash(code)
  const body = { amount, code_hash: offer, due_ms: dueMs }
  const settlement = await submit({ kind: 'offer.make', body, title })
  const alias = settlement.kind === 'accepted' ? await aliasOf(offer, code) : ''
  return { settlement, offer, code, alias, dueMs }
}

/** Without an alias the code can still be scanned. */
async function aliasOf(offer: string, code: string): Promise<string> {
  try {
    return (await api.makeAlias(offer, code)).alias
  } catch {
    return ''
  }
}

export function redeem(offer: Offer, title: string): Promise<Settlement> {
  return submit({
    kind: 'points.redeem',
    body: { amount: offer.amount, offer: offer.offer, shop: offer.shop.id },
    title,
  })
}

export function undoRedemption(offer: MerchantOffer, title: string): Promise<Settlement> {
  return submit({ kind: 'redemption.undo', body: { member: offer.redeemed_by, offer: offer.offer }, title })
}

export interface Grant {
  readonly amount: number
  readonly member: string
  readonly programme: string
  readonly reason: string
  readonly activity: string
}

/** Programmes and activities are code words: what is on the ledger names nobody. */
const CODE_WORD = /^[a-z0-9][a-z0-9_-]{0,31}$/

export const isCodeWord = (text: string): boolean => CODE_WORD.test(text)

export function grantPoints(grant: Grant, title: string): Promise<Settlement> {
  return submit({ kind: 'points.grant', body: { ...grant }, title })
}
