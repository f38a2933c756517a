import { beforeEach, describe, expect, it, vi } from 'vitest'
import { parsePolicy } from '../../src/core/policy'
import { verifySplit, type Split } from '../../src/core/split'
import type { Doubt, SeenCheckpoint } from '../../src/services/checkpoints'
import type { KeptSplit } from '../../src/services/splits'
import { checkpointNote, deviceKey, entryText, POLICY, proofText, record } from '../core/log-builder'
import { CLUSTER, entriesOf, LogNode, Phone } from './log-nodes'

const DAY = 86_400_000
let street: LogNode, owners: LogNode, property: LogNode
let phone: Phone
let light: typeof import('../../src/services/checkpoints')
let splitting: typeof import('../../src/services/splits')

beforeEach(async () => {
  vi.resetModules()
  street = new LogNode('street', entriesOf(300))
  owners = new LogNode('owners', entriesOf(300))
  property = new LogNode('property', entriesOf(300))
  phone = new Phone([street, owners, property])
  light = await import('../../src/services/checkpoints')
  splitting = await import('../../src/services/splits')
})

const seen = () => phone.stored<Record<string, SeenCheckpoint>>('seen')?.[CLUSTER]
const kept = () => phone.stored<readonly KeptSplit[]>('splits') ?? []
const alarm = () => phone.stored<{ alarm?: string }>('trust')?.alarm
/** An app that was closed for a while. */
const visit = (days: number, chance = 1) => light.contact(days * DAY, chance)
const delivered = () => vi.waitFor(() => expect(kept()[0]?.sent.length).toBeGreaterThan(0))
const changeAll = (size: number, from?: number) => {
  for (const node of phone.nodes) node.entries = entriesOf(size, from)
}

describe('the newest checkpoint', () => {
  it('is kept, with its size told at the next contact', async () => {
    await visit(1)
    expect(seen()).toMatchObject({ size: 300, grade: 'sealed', note: checkpointNote(entriesOf(300)) })
    changeAll(600)
    await visit(2)
    expect(seen()!.size).toBe(600)
    expect([...street.sizes]).toEqual(['0', '300'])
    expect(street.asked).not.toContain('/api/v1/consistency')
  })

  it('is replaced only with a proof, from whichever node has one', async () => {
    await visit(1)
    changeAll(600)
    street.hidesProofs = true
    await visit(2)
    expect(seen()!.size).toBe(600)
    expect(owners.asked).toContain('/api/v1/consistency')
  })

  it('stays when nobody proves the newer one: a doubt, and no alarm', async () => {
    await visit(1)
    changeAll(600)
    for (const node of phone.nodes) node.hidesProofs = node.hidesTiles = true
    await visit(2)
    expect(seen()!.size).toBe(300)
    expect(phone.stored<Doubt>('doubt')).toMatchObject({ node: 'street', note: checkpointNote(entriesOf(600)) })
    expect(alarm()).toBeUndefined()
    for (const node of phone.nodes) node.hidesProofs = false
    await visit(3)
    expect(seen()!.size).toBe(600)
    expect(phone.stored('doubt')).toBeUndefined()
  })

  it('is never put back by a node that is behind', async () => {
    await visit(1)
    street.entries = entriesOf(100)
    await visit(2)
    expect(seen()!.size).toBe(300)
    expect(phone.stored('doubt')).toBeUndefined()
  })

  it('takes a better grade of the same size and keeps the one it has from a worse', async () => {
    for (const node of phone.nodes) node.signers = ['street', 'owners']
    await visit(1)
    expect(seen()!.grade).toBe('committed')
    street.signers = ['street', 'owners', 'property']
    await visit(2)
    expect(seen()!.grade).toBe('sealed')
    street.signers = ['street', 'owners']
    await visit(3)
    expect(seen()!.grade).toBe('sealed')
  })

  it.each<[string, (note: string) => string]>([
    ['changed', (note) => note.replace('\n300\n', '\n301\n')],
    ['of another estate', (note) => note.replace(/^linli/, 'other')],
    ['no checkpoint', () => '<html>'],
  ])('is not taken from one that is %s', async (_, change) => {
    expect(await light.observe({ note: change(checkpointNote(entriesOf(300))) })).toBe('unproven')
    expect(await light.observe({ note: checkpointNote(entriesOf(300), ['street']) })).toBe('unproven')
    expect(seen()).toBeUndefined()
  })

  it('survives answers that come at once', async () => {
    await Promise.all([600, 400, 500].map((size) => (changeAll(600), light.observe({ note: checkpointNote(entriesOf(size)) }))))
    expect(seen()!.size).toBe(600)
  })
})

describe('a second organisation', () => {
  it('is asked at the first contact, then once a day, in turn', async () => {
    await visit(1)
    await light.contact(1 * DAY + 3_600_000, 0.5)
    expect([street, owners, property].map((node) => node.sizes.length)).toEqual([2, 1, 0])
    await visit(3)
    await visit(5)
    expect([street, owners, property].map((node) => node.sizes.length)).toEqual([4, 2, 1])
  })

  it('is asked in one of ten visits besides', async () => {
    await visit(1)
    await light.contact(1 * DAY + 3_600_000, 0.05)
    expect([owners, property].map((node) => node.sizes.length)).toEqual([1, 1])
  })

  it('is another one when the first is away', async () => {
    street.isAway = true
    await visit(1)
    expect([owners, property].map((node) => node.sizes.length)).toEqual([1, 1])
  })

  it('that tells nonsense does not count as asked', async () => {
    owners.signers = ['owners']
    await visit(1)
    expect(property.sizes.length).toBe(1)
    expect(phone.stored<{ node: string }>('crossed')!.node).toBe('property')
    expect(phone.stored('doubt')).toBeUndefined()
  })

  it('is asked at once when there was no network before', async () => {
    for (const node of phone.nodes) node.isAway = true
    await visit(1)
    for (const node of phone.nodes) node.isAway = false
    await light.contact(1 * DAY + 1_000, 1)
    expect([street, owners].map((node) => node.sizes.length)).toEqual([1, 1])
  })

  it('is not asked again within a minute', async () => {
    await visit(1)
    await light.contact(1 * DAY + 30_000, 0)
    expect(street.sizes.length).toBe(1)
  })
})

describe('an alarm', () => {
  it('stays when it is raised while a node is asked about the estate', async () => {
    const trust = await import('../../src/services/trust')
    const { estate } = phone.stored<{ estate: unknown }>('trust')!
    wx.request = ({ success }: WxRequest & WxCallbacks<WxResponse>) => {
      expect(() => trust.raiseAlarm('fork')).toThrow('fork')
      success?.({ statusCode: 200, data: JSON.stringify(estate), header: {} })
    }
    await expect(trust.refreshEstate()).rejects.toThrow('fork')
    expect(alarm()).toBe('fork')
  })
})

describe('two histories', () => {
  const policy = parsePolicy(POLICY)
  const expectProof = () => {
    expect(kept()).toHaveLength(1)
    expect(verifySplit(kept()[0]!, policy)).toContain('property')
    expect(alarm()).toBe('fork')
  }

  it('of one size are an alarm at once, kept and sent to every node', async () => {
    owners.entries = entriesOf(300, 280)
    await visit(1)
    expectProof()
    expect(kept()[0]!.proofs).toEqual([])
    await vi.waitFor(() => expect(kept()[0]!.sent).toEqual(['street', 'owners', 'property']))
    const { notes, proofs } = kept()[0]!
    expect(property.evidence).toEqual([{ notes, proofs }])
  })

  it('of two sizes are proven by two leaves from the tiles', async () => {
    owners.entries = entriesOf(520, 290)
    await visit(1)
    expectProof()
    expect(kept()[0]!.proofs.map((branch) => branch.index)).toEqual([290, 290])
  })

  it('are proven by an own receipt when the older one is hidden', async () => {
    const key = deviceKey(1)
    const mine = [...entriesOf(40), entryText(40, record(key, 'ballot.cast', {}).jws)]
    const receipt = proofText(mine, 40, key)
    phone.storage.set('linli.1.receipts', [{ id: 'r' }])
    phone.storage.set('linli.1.receipt.r', receipt)
    await light.observe({ note: checkpointNote(mine) })
    changeAll(90)
    await visit(1)
    expectProof()
    expect(kept()[0]!.proofs.map((branch) => branch.index)).toEqual([40, 40])
  })

  it('are a doubt as long as nobody shows the other one', async () => {
    owners.entries = entriesOf(520, 290)
    owners.hidesTiles = true
    await visit(1)
    expect([kept(), alarm(), phone.stored<Doubt>('doubt')?.node]).toEqual([[], undefined, 'owners'])
  })

  it('stop the app, and go to those who were away later', async () => {
    owners.entries = entriesOf(300, 280)
    property.isAway = true
    street.takesEvidence = false
    await visit(1)
    await delivered()
    expect(kept()[0]!.sent).toEqual(['owners'])
    await expect(light.observe({ note: checkpointNote(entriesOf(300)) })).rejects.toThrow('fork')
    property.isAway = false
    await splitting.sendSplits()
    expect(kept()[0]!.sent).toEqual(['owners', 'property'])
  })

  it('are told in a code by what contradicts', async () => {
    owners.entries = entriesOf(300, 280)
    await visit(1)
    const [one, other] = splitting.splitCode(kept()[0] as Split).split('\n\n')
    expect(one!.split('\n').slice(0, 2)).toEqual(other!.split('\n').slice(0, 2))
    expect(one).not.toBe(other)
  })
})
