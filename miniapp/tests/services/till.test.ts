import { describe, expect, it } from 'vitest'
import type { MerchantOffer } from '../../src/services/api-types'
import { Till } from '../../src/services/till'

const offer = (name: string, state: MerchantOffer['state']): MerchantOffer => ({
  offer: name,
  amount: 5,
  made_ms: 0,
  due_ms: 120_000,
  state,
  redeemed_ms: 0,
  redeemed_by: '',
})

describe('codes that were shown', () => {
  it('can be paid until they are due, the newest first', () => {
    const till = new Till()
    till.add({ offer: 'a', amount: 5, dueMs: 100_000 })
    till.add({ offer: 'b', amount: 7, dueMs: 120_000 })
    expect(till.payable(99_999).map((code) => code.offer)).toEqual(['b', 'a'])
    expect(till.payable(100_000).map((code) => code.offer)).toEqual(['b'])
  })

  it('are watched a little longer than they are due: a payment of the last second is ordered later', () => {
    const till = new Till()
    till.add({ offer: 'a', amount: 5, dueMs: 100_000 })
    expect(till.isWatching(109_999)).toBe(true)
    expect(till.takePaid([offer('a', 'redeemed')])?.offer).toBe('a')
    till.add({ offer: 'b', amount: 5, dueMs: 100_000 })
    expect(till.isWatching(110_000)).toBe(false)
    expect(till.takePaid([offer('b', 'redeemed')])).toBeUndefined()
  })

  it('tell of a payment once, and of no code that was not shown here', () => {
    const till = new Till()
    till.add({ offer: 'a', amount: 5, dueMs: 100_000 })
    expect(till.takePaid([offer('other', 'redeemed'), offer('a', 'open')])).toBeUndefined()
    expect(till.takePaid([offer('a', 'redeemed')])?.offer).toBe('a')
    expect(till.takePaid([offer('a', 'redeemed')])).toBeUndefined()
    expect(till.isWatching(0)).toBe(false)
  })
})
