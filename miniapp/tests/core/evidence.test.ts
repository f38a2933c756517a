import { describe, expect, it } from 'vitest'
import { EvidenceError, readEvidence, verifySplitEvidence } from '../../src/core/evidence'
import { parsePolicy } from '../../src/core/policy'
import { branchText, idOf, lineText, pack, packSplit, packVotes } from './evidence-builder'
import { POLICY } from './log-builder'

const policy = parsePolicy(POLICY)
const entries = (size: number, changed = -1): string[] =>
  Array.from({ length: size }, (_, at) => (at === changed ? `other ${at}` : `entry ${at}`))
const verify = (packed: Buffer) => verifySplitEvidence(readEvidence(packed.toString('base64url')), policy)
const ours = entries(9)
const theirs = entries(9, 4)
const longer = entries(12, 4)
const ordered = (...lines: string[]) => [...lines].sort()
const packLines = (lines: readonly string[], branches: readonly string[] = [], signature = '') =>
  pack(['split_checkpoint', 'owners', ...lines.flatMap((line) => ['COSIGN', line, signature]), ...branches])

describe('packed evidence', () => {
  it.each(['double_vote', 'double_new_view', 'hidden_vote'])('says offence %s, culprit and its own id', (offence) => {
    const packed = packVotes(offence, 'owners')
    const { culprit, id, offence: read } = readEvidence(packed.toString('base64url'))
    expect([read, culprit, id]).toEqual([offence, 'owners', idOf(packed)])
  })

  const whole = packSplit('owners', ours, theirs)
  it.each<[string, Buffer]>([
    ['is empty', Buffer.alloc(0)],
    ['is cut short', whole.subarray(0, -1)],
    ['ends within a length', Buffer.concat([whole, Buffer.alloc(3)])],
    ['has nine parts', Buffer.concat([whole, pack(['more'])])],
    ['has eleven parts', Buffer.concat([whole, pack(['a', 'b', 'c'])])],
    ['names no offence that there is', packVotes('lateness', 'owners')],
    ['claims a part of four gigabytes', Buffer.alloc(4, 255)],
    ['is larger than any', packLines(['x'.repeat(70_000), 'y'])],
  ])('is none when it %s', (_, packed) => {
    expect(() => readEvidence(packed.toString('base64url'))).toThrow(EvidenceError)
  })

  it('is none when it is not base64url', () => {
    expect(() => readEvidence('*')).toThrow(EvidenceError)
  })
})

describe('evidence of a split checkpoint', () => {
  it('holds by two roots of one size', () => {
    expect(() => verify(packSplit('owners', ours, theirs))).not.toThrow()
  })

  it('holds by two leaves at one index of two sizes', () => {
    expect(() => verify(packSplit('street', ours, longer, 4))).not.toThrow()
  })

  it.each<[string, Buffer]>([
    ['shows the same twice', packLines([lineText('owners', ours), lineText('owners', ours)])],
    ['shows a log and how it went on', packSplit('owners', ours, entries(12), 4)],
    ['shows two sizes without branches', packLines(ordered(lineText('owners', ours), lineText('owners', longer)))],
    ['shows leaves that are the same', packSplit('owners', ours, longer, 3)],
    ['has its lines in the other order', packLines(ordered(lineText('owners', ours), lineText('owners', theirs)).reverse())],
    ['accuses one of what another signed', packLines(ordered(lineText('owners', ours, 'street'), lineText('owners', theirs, 'street')))],
    ['names another in a line', packLines(ordered(lineText('owners', ours), lineText('street', theirs)))],
    ['has a signature beside the line', packLines(ordered(lineText('owners', ours), lineText('owners', theirs)), [], 'x')],
    ['changes a root after it was signed', packLines(ordered(lineText('owners', ours), lineText('owners', theirs).replace(/"root":"./, '"root":"_')))],
    ['has more in a line', packLines(ordered(lineText('owners', ours), lineText('owners', theirs).replace('{', '{"a":1,')))],
    ['has branches of one size', packLines(ordered(lineText('owners', ours), lineText('owners', theirs)), [branchText(ours, 4), branchText(theirs, 4)])],
    ['is of votes', packVotes('double_vote', 'owners')],
  ])('is none when it %s', (_, packed) => {
    expect(() => verify(packed)).toThrow(EvidenceError)
  })

  it('is none against somebody whom the policy does not name', () => {
    const line = (log: string[]) => lineText('owners', log).replace('"member":"owners"', '"member":"nobody"')
    const lines = ordered(line(ours), line(theirs)).flatMap((one) => ['COSIGN', one, ''])
    expect(() => verify(pack(['split_checkpoint', 'nobody', ...lines]))).toThrow(EvidenceError)
  })
})
