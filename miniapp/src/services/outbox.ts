/**
 * What was signed and is not yet proven to be on the ledger. A record is stored here before it is posted and leaves only
 * with a verified receipt, an early refusal, or after it can never be ordered any more. The same record is sent again
 * after a crash or a dead network: its id makes that harmless.
 */

import { ReceiptError, type VerifiedReceipt } from '../core/receipt'

export interface OutboxItem {
  readonly id: string
  readonly record: string
  readonly openings: readonly string[]
  readonly kind: string
  readonly title: string
  readonly madeMs: number
  readonly expiresMs: number
  readonly attempts: number
  /** `new`: perhaps never sent. `sent`: a node has it. `distrusted`: the receipt we got did not hold. */
  readonly state: 'new' | 'sent' | 'distrusted' | 'expired'
}

/** What a node said about a record. */
export type NodeWord =
  | { readonly kind: 'receipt'; readonly text: string }
  | { readonly kind: 'ordered' }
  | { readonly kind: 'refused_early'; readonly code: string; readonly detail: string }
  | { readonly kind: 'malformed'; readonly code: string; readonly detail: string }
  | { readonly kind: 'absent'; readonly retryMs: number }
  | { readonly kind: 'never_ordered' }

/** The world outside: nodes, clock, verification. Tests bring their own. */
export interface OutboxPort {
  post(item: OutboxItem): Promise<NodeWord>
  look(item: OutboxItem): Promise<NodeWord>
  verify(text: string, item: OutboxItem): Promise<VerifiedReceipt>
  keep(item: OutboxItem, text: string, receipt: VerifiedReceipt): void
  load(): readonly OutboxItem[]
  save(items: readonly OutboxItem[]): void
  now(): number
  wait(ms: number): Promise<void>
}

export type Settlement =
  | { readonly kind: 'accepted'; readonly id: string; readonly receipt: VerifiedReceipt }
  | {
      readonly kind: 'refused'
      readonly id: string
      readonly code: string
      readonly detail: string
      readonly onLedger: boolean
    }
  | { readonly kind: 'waiting'; readonly id: string }
  | { readonly kind: 'distrusted'; readonly id: string }
  | { readonly kind: 'expired'; readonly id: string }

/** Tries of one call; the item stays and is taken up again at the next start, network change or tap. */
const TRIES = 6
const LOOK_MS = 700

export class Outbox {
  private readonly running = new Map<string, Promise<Settlement>>()

  constructor(private readonly port: OutboxPort) {}

  items(): readonly OutboxItem[] {
    return this.port.load()
  }

  /** Stores first, then sends. */
  submit(item: OutboxItem): Promise<Settlement> {
    this.port.save([...this.port.load().filter((one) => one.id !== item.id), item])
    return this.deliver(item.id)
  }

  /** Everything that waits, one after another, so that a ballot and its replacement keep their order. */
  async resume(): Promise<readonly Settlement[]> {
    const settled: Settlement[] = []
    for (const item of this.port.load()) {
      if (item.state !== 'expired') settled.push(await this.deliver(item.id))
    }
    return settled
  }

  /** Only for what expired or what no node will ever accept. */
  discard(id: string): void {
    this.port.save(this.port.load().filter((item) => item.id !== id))
  }

  private deliver(id: string): Promise<Settlement> {
    const running = this.running.get(id) ?? this.run(id).finally(() => this.running.delete(id))
    this.running.set(id, running)
    return running
  }

  private async run(id: string): Promise<Settlement> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const item = this.port.load().find((one) => one.id === id)
      if (!item) return { kind: 'waiting', id }
      const settlement = await this.step(item)
      if (settlement !== null) return settlement
    }
    return { kind: 'waiting', id }
  }

  /** One exchange; null when it is worth another. */
  private async step(item: OutboxItem): Promise<Settlement | null> {
    const isLate = this.port.now() > item.expiresMs
    const word = item.state === 'new' && !isLate ? await this.port.post(item) : await this.port.look(item)
    switch (word.kind) {
      case 'receipt':
        return this.settle(item, word.text)
      case 'ordered':
        this.change(item, { state: 'sent', attempts: item.attempts + 1 })
        await this.port.wait(LOOK_MS)
        return null
      case 'refused_early':
        this.discard(item.id)
        return { kind: 'refused', id: item.id, code: word.code, detail: word.detail, onLedger: false }
      case 'malformed':
        this.discard(item.id)
        return { kind: 'refused', id: item.id, code: word.code, detail: word.detail, onLedger: false }
      case 'never_ordered':
        return this.missed(item, isLate)
      case 'absent':
        this.change(item, { attempts: item.attempts + 1 })
        return this.pause(item, word.retryMs)
    }
  }

  /** A node that lost the record gets it again while it may still be ordered; after that only signing anew helps. */
  private missed(item: OutboxItem, isLate: boolean): Settlement | null {
    if (!isLate) {
      this.change(item, { state: 'new' })
      return null
    }
    this.change(item, { state: 'expired' })
    return { kind: 'expired', id: item.id }
  }

  private async pause(item: OutboxItem, retryMs: number): Promise<Settlement | null> {
    if (item.attempts + 1 >= TRIES / 2) return { kind: 'waiting', id: item.id }
    await this.port.wait(retryMs)
    return null
  }

  private async settle(item: OutboxItem, text: string): Promise<Settlement> {
    let receipt: VerifiedReceipt
    try {
      receipt = await this.port.verify(text, item)
    } catch (error) {
      if (!(error instanceof ReceiptError)) throw error
      this.change(item, { state: 'distrusted' })
      return { kind: 'distrusted', id: item.id }
    }
    this.port.keep(item, text, receipt)
    this.discard(item.id)
    const { outcome } = receipt.entry
    if (outcome === 'accepted') return { kind: 'accepted', id: item.id, receipt }
    return { kind: 'refused', id: item.id, code: outcome, detail: '', onLedger: true }
  }

  private change(item: OutboxItem, change: Partial<OutboxItem>): void {
    this.port.save(this.port.load().map((one) => (one.id === item.id ? { ...one, ...change } : one)))
  }
}
