/** Casting ballots: one record for each question and each of the voter's positions on the roll (decisions 18, 19). */

import { parseRecord, type RecordPayload } from '../core/record'
import { api } from './api'
import type { Motion, MotionSummary, MyBallot } from './api-types'
import { ballotDraft } from './drafts'
import { NetworkError } from './http'
import type { Settlement } from './outbox'
import { outbox, seal, submit } from './records'
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

/** What is picked after a tap on one of the candidates, or on the abstention. */
export function togglePick(chosen: string, id: string): string[] {
  const before = chosen === '' ? [] : chosen.split(',')
  if (before.includes(id)) return before.filter((one) => one !== id)
  return id === 'abstain' ? [id] : [...before.filter((one) => one !== 'abstain'), id]
}

const OVER: ReadonlySet<string> = new Set(['closed', 'final', 'cancelled'])

/** Whether the vote is a rehearsal: people must see that it binds nobody. */
export function isRehearsal(motion: Pick<Motion, 'rule_pack'>): boolean {
  return motion.rule_pack.split('@')[0] === 'rehearsal'
}

export function hasVoted(mine: readonly MyBallot[] | undefined): boolean {
  return mine !== undefined && mine.length > 0 && mine.every((one) => one.ballot !== '')
}

/** What closes soonest stands first, and what opens soonest; of those that are over, the newest. Drafts are the committee's. */
export function byUrgency(
  motions: readonly MotionSummary[],
): Record<'announced' | 'open' | 'closed', readonly MotionSummary[]> {
  const open = motions.filter((one) => one.state === 'open').sort((one, other) => one.close_ms - other.close_ms)
  const announced = motions.filter((one) => one.state === 'announced').sort((one, other) => one.opens_ms - other.opens_ms)
  const closed = motions.filter((one) => OVER.has(one.state)).sort((one, other) => other.close_ms - one.close_ms)
  return { announced, open, closed }
}

/** Choice by question id, taken when they are shown: what is seen is what is signed, whatever another tab does meanwhile. */
export function choicesOf(motion: Motion): Readonly<Record<string, string>> {
  return Object.fromEntries(motion.questions.map(({ id }) => [id, choiceOf(motion, id)]))
}

/** Ballots signed since the app was opened: a try that stopped half way goes on from them. */
const signedHere = new Set<string>()

/** Nothing was signed, because every ballot already stood with these choices. */
export type Cast = Settlement | { readonly kind: 'unchanged'; readonly id: '' }

/**
 * One record a question and position, in order; stops at the first that is refused. Without network all of them are
 * signed and kept, so that none is forgotten. What stands already, or waits in the outbox, is not signed a second time.
 */
export async function castBallots(
  shown: Motion,
  choices: Readonly<Record<string, string>>,
  title: string,
): Promise<Cast> {
  const motion = await withOwnBallots(shown)
  let result: Cast = { kind: 'unchanged', id: '' }
  for (const mine of motion.mine.filter(isMine)) {
    const choice = choices[mine.question]!
    if (mine.ballot !== '' && mine.choice === choice) continue
    const settlement = waitingFor(motion, mine) ?? (await castOne(motion, mine, choice, title))
    if (settlement.kind !== 'accepted' && settlement.kind !== 'waiting') return settlement
    if (result.kind !== 'waiting') result = settlement
  }
  store.removeBallot(motion.id)
  return result
}

/**
 * The motion as it was shown, with the ballots that an earlier try from here has cast since. One that another phone or
 * another tab cast meanwhile is not taken over: it was not shown here, so replacing it must be refused, not signed unseen.
 */
async function withOwnBallots(shown: Motion): Promise<Motion> {
  let fresh: Motion
  try {
    if (outbox.items().length > 0) await outbox.resume()
    fresh = await api.motion(shown.id)
  } catch (error) {
    if (error instanceof NetworkError) return shown
    throw error
  }
  const mine = shown.mine.map((one) => {
    const now = fresh.mine.find((other) => other.question === one.question && other.position === one.position)
    return now && signedHere.has(now.ballot) ? now : one
  })
  return { ...shown, mine }
}

function waitingFor(motion: Motion, mine: MyBallot): Settlement | undefined {
  const isSame = ({ body, kind }: RecordPayload) =>
    kind === 'ballot.cast' &&
    body['motion'] === motion.id &&
    body['question'] === mine.question &&
    body['position'] === mine.position
  const item = outbox.items().find((one) => isSame(parseRecord(one.record).payload))
  return item && { kind: 'waiting', id: item.id }
}

async function castOne(motion: Motion, mine: MyBallot, choice: string, title: string): Promise<Settlement> {
  const sealed = await seal(choice.split(','))
  const body = {
    choice: sealed.commitment,
    motion: motion.id,
    position: mine.position,
    question: mine.question,
    replaces: mine.ballot,
    roll: motion.roll,
  }
  const settlement = await submit({ kind: 'ballot.cast', body, openings: [sealed.opening], title })
  signedHere.add(settlement.id)
  return settlement
}
