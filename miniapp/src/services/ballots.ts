/** Casting ballots: one record for each question and each of the voter's positions on the roll (decisions 18, 19). */

import type { Motion, MyBallot } from './api-types'
import { ballotDraft } from './drafts'
import type { Settlement } from './outbox'
import { seal, submit } from './records'
import { store } from './store'

export function chooseDraft(motion: string, question: string, choice: string): void {
  store.writeBallot(motion, { choices: { ...ballotDraft(motion).choices, [question]: choice } })
}

/** Choices to show: what is drafted, else what was cast. */
export function choiceOf(motion: Motion, question: string): string {
  const cast = motion.mine.find((one) => one.question === question)?.choice ?? ''
  return ballotDraft(motion.id).choices[question] ?? cast
}

export function isComplete(motion: Motion): boolean {
  return motion.questions.every((question) => choiceOf(motion, question.id) !== '')
}

/** A co-owner's ballot stands for the home; only its own voter can replace it (decisions 18). */
function isMine(ballot: MyBallot): boolean {
  return ballot.ballot === '' || ballot.by_me
}

export function isVotedByOther(mine: readonly MyBallot[]): boolean {
  return mine.length > 0 && !mine.some(isMine)
}

export function hasVoted(mine: readonly MyBallot[] | undefined): boolean {
  return mine !== undefined && mine.length > 0 && mine.every((one) => one.ballot !== '')
}

/** Choice by question id, taken when they are shown: what is seen is what is signed, whatever another tab does meanwhile. */
export function choicesOf(motion: Motion): Readonly<Record<string, string>> {
  return Object.fromEntries(motion.questions.map(({ id }) => [id, choiceOf(motion, id)]))
}

/**
 * One after another and in order; stops at the first that is not accepted. What was already accepted is not sent again:
 * the next try skips ballots that the motion shows as cast with the same choice.
 */
export async function castBallots(
  motion: Motion,
  choices: Readonly<Record<string, string>>,
  title: string,
): Promise<Settlement> {
  let last: Settlement = { kind: 'waiting', id: '' }
  for (const mine of motion.mine.filter(isMine)) {
    const choice = choices[mine.question]!
    if (mine.ballot !== '' && mine.choice === choice) continue
    last = await castOne(motion, mine, choice, title)
    if (last.kind !== 'accepted') return last
  }
  store.removeBallot(motion.id)
  return last
}

async function castOne(motion: Motion, mine: MyBallot, choice: string, title: string): Promise<Settlement> {
  const sealed = await seal(choice)
  const body = {
    choice: sealed.commitment,
    motion: motion.id,
    position: mine.position,
    question: mine.question,
    replaces: mine.ballot,
    roll: motion.roll,
  }
  return submit({ kind: 'ballot.cast', body, openings: [sealed.opening], title })
}
