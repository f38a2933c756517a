/**
 * The codes that a merchant has shown: each can be paid until it is due, also after its page was left or a new amount was
 * typed, so all of them are watched until nobody can pay them any more. Knows no page and no network.
 */

import type { MerchantOffer } from './api-types'

export interface ShownCode {
  /** What the ledger calls the offer. */
  readonly offer: string
  readonly amount: number
  readonly dueMs: number
}

/** A payment signed in the last second is ordered a little later. */
const GRACE_MS = 10_000

export class Till {
  private codes: readonly ShownCode[] = []

  add(code: ShownCode): void {
    this.codes = [...this.codes, code]
  }

  /** Newest first: those that a customer can still pay. */
  payable(nowMs: number): readonly ShownCode[] {
    return this.codes.filter((code) => code.dueMs > nowMs).reverse()
  }

  isWatching(nowMs: number): boolean {
    this.codes = this.codes.filter((code) => code.dueMs + GRACE_MS > nowMs)
    return this.codes.length > 0
  }

  /** The payment of a shown code, told once. */
  takePaid(offers: readonly MerchantOffer[]): MerchantOffer | undefined {
    const paid = offers.find((one) => one.state === 'redeemed' && this.codes.some((code) => code.offer === one.offer))
    if (paid) this.codes = this.codes.filter((code) => code.offer !== paid.offer)
    return paid
  }
}
