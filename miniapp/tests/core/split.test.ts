import { describe, expect, it } from 'vitest'
import { parsePolicy } from '../../src/core/policy'
import { branchText, verifySplit, type Branch, type Split } from '../../src/core/split'
import { checkpointNote, inclusionOf, leafOf, POLICY, type MemberId } from './log-builder'

const policy = parsePolicy(POLICY)
const entries = (size: number, changed = -1): string[] =>
  Array.from({ length: size }, (_, at) => (at === changed ? `other ${at}` : `entry ${at}`))
const branch = (log: readonly string[], index: number): Branch => {
  const leaves = log.map(leafOf)
  return branchText({ index, leaf: leaves[index]!, proof: inclusionOf(index, leaves) })
}
const ours = entries(9)
const theirs = entries(12, 4)
const split: Split = {
  notes: [checkpointNote(ours), checkpointNote(theirs)],
  proofs: [branch(ours, 4), branch(theirs, 4)],
}

describe('a split', () => {
  it('of one size is two roots, and names who signed both', () => {
    const signers: MemberId[] = ['street', 'property']
    const notes = [checkpointNote(entries(9)), checkpointNote(entries(9, 4), signers)] as const
    expect(verifySplit({ notes, proofs: [] }, policy)).toEqual(['property', 'street'])
  })

  it('of two sizes is two leaves at one index', () => {
    expect(verifySplit(split, policy)).toEqual(['owners', 'property', 'street'])
  })

  it('is none when the same is said twice', () => {
    const note = checkpointNote(ours)
    expect(() => verifySplit({ notes: [note, note], proofs: [] }, policy)).toThrow('two roots')
    const longer = entries(12)
    const same = { notes: [note, checkpointNote(longer)], proofs: [branch(ours, 4), branch(longer, 4)] } as const
    expect(() => verifySplit(same, policy)).toThrow('two leaves')
  })

  it.each<[string, Partial<Split>]>([
    ['a branch is missing', { proofs: [branch(ours, 4)] }],
    ['the branches are of two indexes', { proofs: [branch(ours, 4), branch(theirs, 5)] }],
    ['a branch is not of its tree', { proofs: [branch(ours, 4), { ...branch(theirs, 4), index: 4, proof: [] }] }],
    ['the branches stand in the other order', { proofs: [branch(theirs, 4), branch(ours, 4)] }],
    ['a note is not signed', { notes: [split.notes[0], split.notes[1].replace('12\n', '13\n')] }],
  ])('is none when %s', (_, change) => {
    expect(() => verifySplit({ ...split, ...change }, policy)).toThrow()
  })

  it('is none when nobody signed both', () => {
    const notes = [checkpointNote(ours, ['owners']), checkpointNote(theirs, ['street'])] as const
    expect(() => verifySplit({ ...split, notes }, policy)).toThrow('nobody signed both')
  })
})
