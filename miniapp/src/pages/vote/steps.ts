/** The five steps of a vote: find, verify, read, choose, sign. */

import { fill, type Texts } from '../../texts'

const STEPS = [1, 2, 3, 4, 5]

export const VOTE_STEPS = { steps: STEPS, stepNow: 1, stepText: '' }

export function stepData(now: number, texts: Texts) {
  return { stepNow: now, stepText: fill(texts.common.step, { n: now, all: STEPS.length }) }
}
