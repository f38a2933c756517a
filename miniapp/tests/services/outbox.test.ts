import { describe, expect, it } from 'vitest'
import { ReceiptError, type VerifiedReceipt } from '../../src/core/receipt'
import { Outbox, type NodeWord, type OutboxItem, type OutboxPort } from '../../src/services/outbox'

const item = (id: string, change: Partial<OutboxItem> = {}): OutboxItem => ({
  id,
  record: `jws of ${id}`,
  openings: [],
  kind: 'ballot.cast',
  title: 't',
  madeMs: 1_000,
  expiresMs: 5_000,
  attempts: 0,
  state: 'new',
  ...change,
})

/** The world outside: what nodes say next, what is stored, what was kept. */
class World implements OutboxPort {
  stored: readonly OutboxItem[] = []
  kept: string[] = []
  asked: string[] = []
  time = 2_000

  constructor(private readonly words: NodeWord[]) {}

  private answer(call: string, { id }: OutboxItem): Promise<NodeWord> {
    this.asked.push(`${call} ${id}`)
    // Whatever is asked, the record must be on the phone already.
    expect(this.stored.some((one) => one.id === id)).toBe(true)
    return Promise.resolve(this.words.shift() ?? { kind: 'absent', retryMs: 1 })
  }

  post(one: OutboxItem) {
    return this.answer('post', one)
  }
  look(one: OutboxItem) {
    return this.answer('look', one)
  }
  verify(text: string): Promise<VerifiedReceipt> {
    if (text === 'forged') throw new ReceiptError('checkpoint', 'signature')
    return Promise.resolve({ entry: { outcome: text } } as VerifiedReceipt)
  }
  keep(one: OutboxItem, text: string) {
    this.kept.push(`${one.id} ${text}`)
  }
  load() {
    return this.stored
  }
  save(items: readonly OutboxItem[]) {
    this.stored = items
  }
  now() {
    return this.time
  }
  wait() {
    return Promise.resolve()
  }
}

const receipt = (text: string): NodeWord => ({ kind: 'receipt', text })
const ordered: NodeWord = { kind: 'ordered' }
const absent: NodeWord = { kind: 'absent', retryMs: 1 }
const lost: NodeWord = { kind: 'never_ordered' }

describe('outbox', () => {
  it('leaves nothing behind when the receipt verifies', async () => {
    const world = new World([receipt('accepted')])
    expect(await new Outbox(world).submit(item('a'))).toMatchObject({ kind: 'accepted', id: 'a' })
    expect(world.stored).toEqual([])
    expect(world.kept).toEqual(['a accepted'])
  })

  it('looks for the receipt when the node only ordered the record', async () => {
    const world = new World([ordered, ordered, receipt('accepted')])
    expect(await new Outbox(world).submit(item('a'))).toMatchObject({ kind: 'accepted' })
    expect(world.asked).toEqual(['post a', 'look a', 'look a'])
  })

  it('keeps the receipt of a refusal and says its code', async () => {
    const world = new World([receipt('ballot_already_cast')])
    expect(await new Outbox(world).submit(item('a'))).toMatchObject({
      kind: 'refused',
      code: 'ballot_already_cast',
      onLedger: true,
    })
    expect(world.kept).toEqual(['a ballot_already_cast'])
    expect(world.stored).toEqual([])
  })

  it('ends an early refusal without a receipt', async () => {
    const world = new World([{ kind: 'refused_early', code: 'motion_closed', detail: 'd' }])
    expect(await new Outbox(world).submit(item('a'))).toMatchObject({
      kind: 'refused',
      code: 'motion_closed',
      onLedger: false,
    })
    expect(world.stored).toEqual([])
  })

  it('keeps a record through a dead network and sends the same record again', async () => {
    const world = new World([absent, absent, absent])
    const first = item('a')
    expect(await new Outbox(world).submit(first)).toEqual({ kind: 'waiting', id: 'a' })
    expect(world.stored).toMatchObject([{ id: 'a', record: first.record }])
    const words = new World([receipt('accepted')])
    words.stored = world.stored
    // A new Outbox is the app after it was killed: only what is stored is left.
    expect(await new Outbox(words).resume()).toMatchObject([{ kind: 'accepted', id: 'a' }])
    expect(words.asked).toEqual(['post a'])
  })

  it('posts again when a node has lost the record and it can still be ordered', async () => {
    const world = new World([ordered, lost, receipt('accepted')])
    expect(await new Outbox(world).submit(item('a'))).toMatchObject({ kind: 'accepted' })
    expect(world.asked).toEqual(['post a', 'look a', 'post a'])
  })

  it('never posts an expired record, and offers to sign anew only when it was never ordered', async () => {
    const world = new World([lost])
    world.stored = [item('a')]
    world.time = 6_000
    const outbox = new Outbox(world)
    expect(await outbox.resume()).toEqual([{ kind: 'expired', id: 'a' }])
    expect(world.asked).toEqual(['look a'])
    expect(world.stored).toMatchObject([{ id: 'a', state: 'expired' }])
    outbox.discard('a')
    expect(world.stored).toEqual([])
  })

  it('finds the receipt of a record that expired only on this side', async () => {
    const world = new World([receipt('accepted')])
    world.stored = [item('a', { state: 'sent' })]
    world.time = 6_000
    expect(await new Outbox(world).resume()).toMatchObject([{ kind: 'accepted' }])
  })

  it('keeps a record whose receipt does not verify, and asks again later', async () => {
    const world = new World([receipt('forged'), receipt('accepted')])
    const outbox = new Outbox(world)
    expect(await outbox.submit(item('a'))).toEqual({ kind: 'distrusted', id: 'a' })
    expect(world.stored).toMatchObject([{ id: 'a', state: 'distrusted' }])
    expect(world.kept).toEqual([])
    expect(await outbox.resume()).toMatchObject([{ kind: 'accepted' }])
  })

  it('delivers in the order of signing', async () => {
    const world = new World([receipt('accepted'), receipt('accepted')])
    world.stored = [item('a'), item('b')]
    await new Outbox(world).resume()
    expect(world.asked).toEqual(['post a', 'post b'])
  })

  it('does not send the same record twice at the same time', async () => {
    const world = new World([receipt('accepted')])
    const outbox = new Outbox(world)
    const [one, other] = await Promise.all([outbox.submit(item('a')), outbox.submit(item('a'))])
    expect(one).toBe(other)
    expect(world.asked).toEqual(['post a'])
  })
})
