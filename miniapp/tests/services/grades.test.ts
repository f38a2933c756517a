import { beforeEach, describe, expect, it, vi } from 'vitest'
import { parsePolicy } from '../../src/core/policy'
import { verifyReceipt } from '../../src/core/receipt'
import type { ReceiptNote } from '../../src/services/receipts'
import { checkpointNote, deviceKey, entryText, POLICY, proofText, record, type MemberId } from '../core/log-builder'
import { entriesOf, LogNode, Phone } from './log-nodes'

const key = deviceKey(1)
const signed = record(key, 'ballot.cast', {})
const two: readonly MemberId[] = ['owners', 'street']
const log = [...entriesOf(20), entryText(20, signed.jws), ...entriesOf(9)]
const receiptOf = (signers?: readonly MemberId[]) => proofText(log, 20, key, signers)

let street: LogNode
let phone: Phone
let refreshGrades: () => Promise<boolean>
const held = () => phone.stored<readonly ReceiptNote[]>('receipts')![0]!.grade
const asked = () => street.asked.filter((path) => path.endsWith('/receipt')).length

beforeEach(async () => {
  vi.resetModules()
  street = new LogNode('street', log)
  phone = new Phone([street])
  const { keepReceipt } = await import('../../src/services/receipts')
  refreshGrades = (await import('../../src/services/grades')).refreshGrades
  const text = receiptOf(two)
  keepReceipt({ id: signed.id, kind: 'ballot.cast', title: 't' }, text, verifyReceipt(text, parsePolicy(POLICY)))
})

const observe = async (entries: readonly string[], signers?: readonly MemberId[]) =>
  (await import('../../src/services/checkpoints')).observe({ note: checkpointNote(entries, signers) })

describe('the grade of a receipt', () => {
  it('becomes better when all have confirmed', async () => {
    street.receipt = receiptOf()
    expect(await refreshGrades()).toBe(true)
    expect(held()).toBe('sealed')
    expect(await refreshGrades()).toBe(false)
    expect(asked()).toBe(1)
  })

  it('stays while only two have', async () => {
    street.receipt = receiptOf(two)
    expect([await refreshGrades(), held()]).toEqual([false, 'committed'])
  })

  it('never becomes worse', async () => {
    street.receipt = receiptOf()
    await refreshGrades()
    street.receipt = receiptOf(two)
    const { upgradeReceipt } = await import('../../src/services/receipts')
    expect((await upgradeReceipt(signed.id))!.receipt.grade).toBe('sealed')
    expect(held()).toBe('sealed')
  })

  it.each<[string, () => string]>([
    ['of another record', () => proofText([...entriesOf(20), entryText(20, record(key, 'ballot.cast', {}).jws)], 20, key)],
    ['that does not verify', () => receiptOf().replace('index 20', 'index 19')],
  ])('is not changed by a receipt %s', async (_, receipt) => {
    street.receipt = receipt()
    expect([await refreshGrades(), held()]).toEqual([false, 'committed'])
  })

  it('is asked for when a sealed checkpoint covers it, and is not when everything is sealed', async () => {
    await observe(log)
    street.receipt = receiptOf()
    expect(await refreshGrades()).toBe(true)
    await observe([...log, 'more'])
    await refreshGrades()
    expect(asked()).toBe(1)
  })
})
