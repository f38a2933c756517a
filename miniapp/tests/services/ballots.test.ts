import { describe, expect, it } from 'vitest'
import type { MotionSummary } from '../../src/services/api-types'
import { byUrgency } from '../../src/services/ballots'

const motion = (id: string, state: MotionSummary['state'], close_ms: number) =>
  ({ id, state, close_ms, title: id, mine: [] }) as unknown as MotionSummary

describe('motions', () => {
  it('that close soonest come first, and of the closed ones the newest', () => {
    const given = [motion('late', 'open', 9), motion('old', 'closed', 1), motion('soon', 'open', 5), motion('new', 'final', 3)]
    const { open, closed } = byUrgency(given)
    expect(open.map((one) => one.id)).toEqual(['soon', 'late'])
    expect(closed.map((one) => one.id)).toEqual(['new', 'old'])
    expect(given[0]!.id).toBe('late')
  })
})
