/** The choices of an ordinary question in the reader's language. */

import { textsOf, type Texts } from './index'

interface Choice {
  readonly id: string
  readonly text: string
}

/** Choices of an ordinary question, which passes or does not; the ids are the law's, the words those of its motion. */
export const APPROVAL = ['for', 'against', 'abstain'] as const

/** What stands in a motion's record, whatever language the committee's phone speaks: one record, one wording. */
export const APPROVAL_TEXTS = textsOf('zh-CN').choice

/** Only the usual words are translated: a motion that worded such a choice itself is shown as it was decided on. */
export function choiceText({ id, text }: Choice, texts: Texts): string {
  const usual = APPROVAL.find((one) => one === id)
  return usual && APPROVAL_TEXTS[usual] === text ? texts.choice[usual] : text
}
