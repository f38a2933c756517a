/** From what a person decided to a signed record in the outbox. Brings clock, randomness and salts to core/record. */

import type { Json, JsonObject } from '../core/canonical'
import { verifyReceipt, type VerifiedReceipt, ReceiptError } from '../core/receipt'
import { commit, estateName, NONCE_BYTES, SALT_BYTES, signRecord, type PrivateValue } from '../core/record'
import { api } from './api'
import { deviceKey } from './device'
import { ApiProblem, NetworkError } from './http'
import { Outbox, type NodeWord, type OutboxItem, type OutboxPort, type Settlement } from './outbox'
import { randomBytes, wait } from './platform'
import { observe } from './checkpoints'
import { keepReceipt } from './receipts'
import { store } from './store'
import { estate, trustedPolicies } from './trust'

/** Long enough for a day without network, short enough for the nodes' table of nonces (decisions 1). */
const LIFETIME_MS = 24 * 3_600_000
/** A record made by a fast clock is refused when it is more than five minutes early. */
let serverOffsetMs = 0

export function noteServerTime(serverMs: number): void {
  serverOffsetMs = serverMs - Date.now()
}

export const serverNow = (): number => Date.now() + serverOffsetMs

/** Body and private values: where a commitment stands in the body, the opening goes beside the record. */
export interface Intent {
  readonly kind: string
  readonly body: JsonObject
  readonly openings?: readonly string[]
  /** What the person sees in the list while it is on its way. */
  readonly title: string
  readonly author?: string
}

export async function seal(value: Json): Promise<PrivateValue> {
  return commit(value, await randomBytes(SALT_BYTES))
}

export async function submit(intent: Intent): Promise<Settlement> {
  const { id, cluster_id } = await estate()
  const author = intent.author ?? store.read('member')?.member
  if (author === undefined) throw new ApiProblem(401, 'device_unknown', '', {}, 0)
  const key = await deviceKey()
  const madeMs = Math.round(serverNow())
  const nonce = await randomBytes(NONCE_BYTES)
  const draft = {
    author,
    body: intent.body,
    estate: estateName(id, cluster_id),
    kind: intent.kind,
    madeMs,
    lifetimeMs: LIFETIME_MS,
    nonce,
  }
  const record = signRecord(draft, key)
  return outbox.submit({
    id: record.id,
    record: record.jws,
    openings: intent.openings ?? [],
    kind: intent.kind,
    title: intent.title,
    madeMs,
    expiresMs: madeMs + LIFETIME_MS,
    attempts: 0,
    state: 'new',
  })
}

const port: OutboxPort = {
  post: (item) =>
    listen(async () => {
      const answer = await api.postRecord(item.record, item.openings)
      return answer.receipt === undefined ? { kind: 'ordered' } : { kind: 'receipt', text: answer.receipt }
    }),
  look: (item) =>
    listen(async () => {
      const { receipt, state } = await api.record(item.id, item.expiresMs)
      if (receipt) return { kind: 'receipt', text: receipt }
      // A node that does not know it gets it again, unless it is too late: only `never_ordered` says that.
      if (state === 'never_ordered' || (state === 'unknown' && serverNow() <= item.expiresMs))
        return { kind: 'never_ordered' }
      return { kind: 'ordered' }
    }),
  verify: verifyFor,
  keep: (item, text, receipt) => {
    keepReceipt(item, text, receipt)
    // An alarm is kept with the trust and stops the next page; being offline here is no news.
    observe({ note: receipt.checkpoint.note }).catch(() => undefined)
  },
  load: () => store.read('outbox') ?? [],
  save: (items) => store.write('outbox', items),
  now: serverNow,
  wait,
}

export const outbox = new Outbox(port)

/** Besides what every receipt must prove: it is about this very record. */
async function verifyFor(text: string, item: OutboxItem): Promise<VerifiedReceipt> {
  const receipt = verifyReceipt(text, await trustedPolicies())
  if (receipt.record?.id !== item.id) throw new ReceiptError('record', 'another record')
  return receipt
}

async function listen(ask: () => Promise<NodeWord>): Promise<NodeWord> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof NetworkError) return { kind: 'absent', retryMs: 1_000 }
    if (error instanceof ApiProblem) return wordOf(error)
    throw error
  }
}

function wordOf(problem: ApiProblem): NodeWord {
  const { status, code, detail, body } = problem
  if (status === 409 && typeof body['receipt'] === 'string') return { kind: 'receipt', text: body['receipt'] }
  if (status === 409) return { kind: 'refused_early', code, detail }
  if (status === 429 || status >= 500) return { kind: 'absent', retryMs: problem.retryAfterMs }
  return { kind: 'malformed', code, detail }
}
