import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { packSplit, packVotes } from '../core/evidence-builder'
import { entriesOf, LogNode, Phone } from './log-nodes'
import { followLinks, type Link } from '../../src/core/succession'
import { encodeUtf8 } from '../../src/core/utf8'

const VECTORS = join(dirname(fileURLToPath(import.meta.url)), '../../../schemas/vectors/retirements.json')

interface RetirementVectors {
  readonly genesis: string
  readonly links: readonly Link[]
  readonly cases: readonly { readonly valid: boolean; readonly packed: string; readonly culprit?: string }[]
}

let street: LogNode, owners: LogNode, property: LogNode
let phone: Phone
let agreement: typeof import('../../src/services/agreement')

beforeEach(async () => {
  vi.resetModules()
  street = new LogNode('street', entriesOf(300))
  owners = new LogNode('owners', entriesOf(300))
  property = new LogNode('property', entriesOf(300))
  phone = new Phone([street, owners, property])
  agreement = await import('../../src/services/agreement')
})

const ask = () => agreement.askAgreement()
const claim = (packed: Buffer, height = 0) => ({ height, packed: packed.toString('base64url') })
const votes = packVotes('double_vote', 'property')
const split = packSplit('property', entriesOf(9), entriesOf(9, 4))

describe('the organisations', () => {
  it('agree when all of them signed the newest checkpoint', async () => {
    expect(await ask()).toEqual({ state: 'all', signed: ['street', 'owners', 'property'], missing: [], accusations: [] })
  })

  it('agree so far as a quorum signed, and who did not is named', async () => {
    for (const node of phone.nodes) node.signers = ['street', 'property']
    expect(await ask()).toMatchObject({ state: 'some', signed: ['street', 'property'], missing: ['owners'] })
  })

  it('have signed what any of their nodes can show', async () => {
    street.signers = ['street', 'owners']
    owners.signers = ['owners', 'property']
    property.isAway = true
    expect((await ask()).state).toBe('all')
  })

  it('are judged by the newest checkpoint, not by an older one that all signed', async () => {
    street.entries = entriesOf(400)
    street.signers = ['street', 'owners']
    expect(await ask()).toMatchObject({ state: 'some', missing: ['property'] })
  })

  it('are judged by what the phone saw when nobody answers, and not at all when it saw nothing', async () => {
    for (const node of phone.nodes) node.isAway = true
    expect((await ask()).state).toBe('unknown')
    street.isAway = false
    await ask()
    street.isAway = true
    expect((await ask()).state).toBe('all')
  })

  it('are not said to agree while one of them shows what does not fit', async () => {
    await ask()
    owners.entries = entriesOf(600, 100)
    for (const node of phone.nodes) node.hidesProofs = node.hidesTiles = true
    expect((await ask()).state).toBe('unknown')
  })

  it('are stopped at, not described, when two histories come to light', async () => {
    await ask()
    owners.entries = entriesOf(300, 100)
    await expect(ask()).rejects.toMatchObject({ alarm: 'fork' })
    expect(phone.stored<{ alarm?: string }>('trust')?.alarm).toBe('fork')
  })

  it('disagree as long as the phone keeps two histories', async () => {
    phone.storage.set('linli.1.splits', [{ notes: ['', ''], proofs: [], foundMs: 1, sent: [] }])
    expect((await ask()).state).toBe('split')
  })
})

describe('evidence', () => {
  it('of two signed checkpoints is verified here: one node is enough', async () => {
    owners.shown = [claim(split)]
    const { accusations, state } = await ask()
    expect(state).toBe('split')
    expect(accusations).toMatchObject([
      { member: 'property', offence: 'split_checkpoint', isProven: true, saidBy: ['owners'], height: 0 },
    ])
  })

  it('that cannot be verified here is the word of one node, and no disagreement by that alone', async () => {
    owners.shown = [claim(votes, 36)]
    const { accusations, state } = await ask()
    expect(state).toBe('all')
    expect(accusations).toMatchObject([{ member: 'property', isProven: false, saidBy: ['owners'], height: 36 }])
  })

  it('that two nodes show is known, at the block that either of them has', async () => {
    street.shown = [claim(votes)]
    owners.shown = [claim(votes, 36)]
    const { accusations, state } = await ask()
    expect(state).toBe('split')
    expect(accusations).toMatchObject([{ saidBy: ['street', 'owners'], height: 36 }])
  })

  it('said twice by one node is one voice', async () => {
    owners.shown = [claim(votes), claim(votes)]
    expect((await ask()).state).toBe('all')
  })

  it('is shown once an organisation, the proven first', async () => {
    for (const node of phone.nodes) node.shown = [claim(votes, 36), claim(split)]
    expect((await ask()).accusations).toMatchObject([{ offence: 'split_checkpoint', isProven: true }])
  })

  it('of a retired key is verified with the eras, whoever the members are now, and is no disagreement', async () => {
    const { cases, genesis, links } = JSON.parse(readFileSync(VECTORS, 'utf8')) as RetirementVectors
    const trust = phone.stored<{ estate: object }>('trust')!
    const genesis_sha256 = createHash('sha256').update(genesis).digest('hex')
    const eras = followLinks(encodeUtf8(genesis), links)
    phone.storage.set('linli.1.trust', { ...trust, estate: { ...trust.estate, genesis_sha256 }, eras })
    const [good, bad] = [cases.find((one) => one.valid)!, cases.find((one) => !one.valid)!]
    owners.shown = [good, bad].map(({ packed }) => ({ height: 7, packed }))
    const { accusations, state } = await ask()
    expect(accusations).toMatchObject([{ offence: 'retired_key', member: good.culprit, isProven: true, height: 7 }])
    expect(accusations.map(agreement.isOfRetiredKey)).toEqual([true])
    expect(state).not.toBe('split')
  })

  it('of a retired key is nothing while the members were never others', async () => {
    const { cases } = JSON.parse(readFileSync(VECTORS, 'utf8')) as RetirementVectors
    owners.shown = [{ height: 7, packed: cases.find((one) => one.valid)!.packed }]
    expect(await ask()).toMatchObject({ state: 'all', accusations: [] })
  })

  it.each<[string, unknown]>([
    ['is of somebody unknown', [claim(packSplit('nobody' as 'owners', entriesOf(9), entriesOf(9, 4)))]],
    ['is a split that does not hold', [claim(packSplit('property', entriesOf(9), entriesOf(12), 4))]],
    ['is of no shape', [{ height: 1, packed: '*' }]],
    ['is no list', 'nonsense'],
    ['is at a height that is none', [{ ...claim(votes), height: -1 }]],
    ['has nothing packed', [{ height: 1 }]],
  ])('is left out when it %s', async (_, shown) => {
    owners.shown = shown
    expect(await ask()).toMatchObject({ state: 'all', accusations: [] })
  })
})
