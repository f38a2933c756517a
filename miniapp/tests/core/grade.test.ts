import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { gradeOf, isBetter, parsePolicy } from '../../src/core/policy'
import { logKey, POLICY, vkey, witnessKey } from './log-builder'

const outside = (name: string): string => `witness ${name} ${vkey({ ...witnessKey('street'), ...keyOf(name) })}\n`
const keyOf = (name: string) => {
  const key = logKey('street')
  const typed = Buffer.concat([Buffer.of(4), Buffer.alloc(32, name)])
  return { ...key, name, typed, id: Buffer.from(idOf(name, typed), 'hex') }
}
const WITNESSED = POLICY.replace(
  'quorum committed',
  `${outside('archive')}${outside('neighbour')}group witnessed any archive neighbour\nquorum committed`,
)

function idOf(name: string, typed: Buffer): string {
  return createHash('sha256').update(name + '\n').update(typed).digest('hex').slice(0, 8)
}

describe('a grade', () => {
  const policy = parsePolicy(WITNESSED)
  const members = ['owners', 'property', 'street']

  it.each([
    [['street'], null],
    [['street', 'archive'], null],
    [['street', 'owners'], 'committed'],
    [['street', 'owners', 'archive'], 'committed'],
    [members, 'sealed'],
    [[...members, 'neighbour'], 'witnessed'],
  ])('of the signers %j is %s', (signers, grade) => {
    expect(gradeOf(policy, new Set(signers))).toBe(grade)
  })

  it('is not witnessed where the policy names no witnesses', () => {
    expect(gradeOf(parsePolicy(POLICY), new Set([...members, 'archive']))).toBe('sealed')
  })

  it('is better or it is not', () => {
    expect([isBetter('sealed', 'committed'), isBetter('witnessed', 'sealed'), isBetter('sealed', 'sealed')]).toEqual([
      true,
      true,
      false,
    ])
  })
})
