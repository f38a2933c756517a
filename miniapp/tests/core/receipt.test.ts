import { describe, expect, it } from 'vitest'
import { CheckpointError, verifyCheckpoint } from '../../src/core/checkpoint'
import { parsePolicy } from '../../src/core/policy'
import { receiptCode, ReceiptError, verifyReceipt } from '../../src/core/receipt'
import {
  checkpointNote,
  checkpointText,
  cosignatureLine,
  deviceKey,
  entryText,
  leafOf,
  logLine,
  ORIGIN,
  POLICY,
  proofText,
  record,
  systemText,
  vkey,
  witnessKey,
} from './log-builder'

const policy = parsePolicy(POLICY)
const key = deviceKey(7)
const otherKey = deviceKey(8)
const bind = record(key, 'device.bind', { device_key: { ...key.jwk }, label: 'phone' })
const vote = record(key, 'ballot.cast', { choice: 'c' })
const entries = [
  systemText(0),
  entryText(1, bind.jws),
  systemText(2),
  entryText(3, vote.jws, 'ballot_already_cast'),
  entryText(4, record(otherKey, 'device.bind', { device_key: { ...otherKey.jwk } }, 'm-002').jws),
  entryText(5, record(key, 'device.bind', { device_key: { ...key.jwk } }).jws, 'expired'),
  entryText(6, record(key, 'device.bind', { device_key: { ...otherKey.jwk } }).jws),
  entryText(7, record(key, 'device.bind', { device_key: { ...key.jwk } }, 'm-009').jws),
  entryText(8, record(key, 'device.bind', { device_key: { ...key.jwk } }).jws),
]
const proof = proofText(entries, 3, key)
const join = (first: string, second: string): string => `${first.trimEnd()}\n---\n${second}`

function faultOf(text: string): string {
  try {
    verifyReceipt(text, policy)
  } catch (error) {
    expect(error).toBeInstanceOf(ReceiptError)
    return (error as ReceiptError).fault
  }
  return 'none'
}

describe('receipt', () => {
  it('proves record, outcome, grade and owner', () => {
    const receipt = verifyReceipt(join(proof, proofText(entries, 1, key)), policy)
    expect(receipt).toMatchObject({
      grade: 'sealed',
      ownerChecked: true,
      entry: { index: 3, outcome: 'ballot_already_cast' },
    })
    expect(receipt.record).toMatchObject({
      id: vote.id,
      kid: key.kid,
      payload: { author: 'm-001', kind: 'ballot.cast' },
    })
    expect(receiptCode(receipt)).toBe(`${ORIGIN},3,${leafOf(entries[3]!).toString('hex').slice(0, 16)}`)
  })

  it('does not call the owner checked without the binding', () => {
    expect(verifyReceipt(proof, policy).ownerChecked).toBe(false)
  })

  it('of a binding checks its owner by itself', () => {
    expect(verifyReceipt(proofText(entries, 1, key), policy).ownerChecked).toBe(true)
  })

  it('is committed with two cosignatures and refused with one', () => {
    expect(verifyReceipt(proofText(entries, 3, key, ['street', 'owners']), policy).grade).toBe('committed')
    expect(faultOf(proofText(entries, 3, key, ['street']))).toBe('not_committed')
  })

  it('of a derived entry has no signer', () => {
    const text = proofText(entries, 2, key).replace(
      /extra .*/,
      'extra ' + Buffer.from(`{"entry":${JSON.stringify(entries[2])}}`).toString('base64'),
    )
    const receipt = verifyReceipt(text, policy)
    expect(receipt.record).toBeUndefined()
    expect(receipt.ownerChecked).toBe(false)
  })

  it.each([
    ['of another author', 7],
    ['that was refused', 5],
    ['of another key', 4],
    ['that names another key', 6],
    ['that came later', 8],
    ['that is no binding', 3],
  ])('is refused with a binding %s', (_, index) => {
    const signer = index === 4 ? otherKey : key
    expect(faultOf(join(proof, proofText(entries, index, signer)))).toBe('binding')
  })

  const replaceEntry = (entry: string): string =>
    proof.replace(
      /extra .*/,
      'extra ' +
        Buffer.from(`{"device_key":${JSON.stringify(key.jwk)},"entry":${JSON.stringify(entry)}}`).toString('base64'),
    )

  it.each([
    ['form', proof.replace('@v1', '@v2')],
    ['form', proof.replace('index 3', 'index 03')],
    ['form', proof.replace(/\nextra .*/, '')],
    ['form', proof.replace(/(index 3\n.*)=\n/, '$1\n')],
    ['form', ''],
    ['form', Array(19).fill(proof).join('---\n')],
    ['binding', join(join(proof, proof), proof)],
    ['extra', proof.replace(/extra .*/, 'extra e30=')],
    ['extra', proof.replace(/extra .*/, 'extra ' + Buffer.from('{"entry": "x"}').toString('base64'))],
    ['index', proof.replace('index 3', 'index 2')],
    ['entry', replaceEntry(entries[3]!.replace('{', '{ '))],
    ['entry', replaceEntry('{}')],
    ['not_in_tree', replaceEntry(entries[3]!.replace('ballot_already_cast', 'accepted'))],
    ['not_in_tree', proof.replace(/(index 3\n).*\n/, '$1')],
    ['checkpoint', proof.replace(ORIGIN + '\n', ORIGIN + '2\n')],
    ['device_key', proofText(entries, 3, otherKey)],
  ])('is refused for its %s', (fault, text) => {
    expect(faultOf(text)).toBe(fault)
  })

  it('is refused when the device did not sign', () => {
    const forged = vote.jws.slice(0, -4) + (vote.jws.endsWith('AAAA') ? 'BBBB' : 'AAAA')
    expect(faultOf(proofText([entryText(0, forged)], 0, key))).toBe('device_signature')
  })
})

describe('checkpoint', () => {
  const text = checkpointText(entries)
  const note = checkpointNote(entries)
  const fault = (changed: string): string => {
    try {
      verifyCheckpoint(changed, policy)
    } catch (error) {
      expect(error).toBeInstanceOf(CheckpointError)
      return (error as CheckpointError).fault
    }
    return 'none'
  }

  it('counts the log line and the cosignatures', () => {
    const checkpoint = verifyCheckpoint(note, policy)
    expect(checkpoint.logSignatures).toBe(1)
    expect([...checkpoint.cosigned]).toEqual([
      ['owners', 1_790_000_000],
      ['property', 1_790_000_000],
      ['street', 1_790_000_000],
    ])
    expect(checkpoint.grade).toBe('sealed')
  })

  it('ignores keys it does not know', () => {
    expect(fault(note + '\u2014 stranger.example AAAAAAAA\n')).toBe('none')
    expect(fault(note + `\u2014 ${ORIGIN}/street AAAAAAAA\n`)).toBe('none')
  })

  it('needs a line of the log itself', () => {
    expect(fault(text + '\n' + cosignatureLine('street', text))).toBe('log_signature_missing')
  })

  it.each([
    ['extension_line', text + 'extra\n\n' + cosignatureLine('street', text + 'extra\n')],
    ['size', note.replace(/\n9\n/, '\n09\n')],
    ['size', note.replace(/\n9\n/, '\n-9\n')],
    ['root', note.replace(/\n9\n..../, '\n9\n')],
    ['signature', note.replace(/\n9\n/, '\n8\n')],
    ['signer_twice', note + cosignatureLine('street', text)],
    ['signer_twice', note + logLine('street', text)],
    ['signature_line', note + '- a b\n'],
    ['signature_line', note + '\u2014 a b!\n'],
    ['note_form', note.trimEnd()],
    ['note_form', text],
  ])('is refused: %s', (expected, changed) => {
    expect(fault(changed)).toBe(expected)
  })
})

describe('policy', () => {
  const street = `witness street ${vkey(witnessKey('street'))}`
  const log = POLICY.split('\n')[0]!

  it('reads the file of a cluster of three', () => {
    expect(policy.origin).toBe(ORIGIN)
    expect(policy.groups.get('sealed')).toEqual({ threshold: 3, members: ['owners', 'property', 'street'] })
    expect(policy.quorum).toBe('committed')
  })

  it.each([
    ['no log', street + '\nquorum street'],
    ['no quorum', log + '\n' + street],
    ['an unknown quorum', log + '\nquorum committed'],
    ['an unknown member', `${log}\n${street}\ngroup g 1 owners\nquorum g`],
    ['a name twice', `${log}\n${street}\n${street}\nquorum street`],
    ['too high a threshold', `${log}\n${street}\ngroup g 2 street\nquorum g`],
    ['a threshold of none', `${log}\n${street}\ngroup g 0 street\nquorum g`],
    ['a wrong key id', `${log}\n${street.replace(/\+[0-9a-f]{8}\+/, '+00000000+')}\nquorum street`],
    ['a key of another type', `${log}\nwitness street ${log.slice(4)}\nquorum street`],
    ['an unknown line', `${log}\n${street}\norigin x\nquorum street`],
  ])('is refused with %s', (_, text) => {
    expect(() => parsePolicy(text)).toThrow()
  })

  it('skips comments and empty lines', () => {
    expect(parsePolicy(`# lobby\n\n${log}\n${street}\nquorum street\n`).quorum).toBe('street')
  })
})
