/**
 * The phone's first trust (decisions 25): who keeps the records, by which keys. In WeChat it is compiled in; on the web
 * all member nodes are asked at first use and must agree. From then on it is kept, and anything else is an alarm.
 */

import { parsePolicy, type Policy } from '../core/policy'
import { exchange, parseAnswer } from './http'
import { settings } from './settings'
import { store } from './store'
import type { Estate, NodeAddress } from './api-types'

export interface CompiledEstate {
  readonly nodes: readonly NodeAddress[]
  readonly genesis_sha256: string
  readonly policy: string
}

export interface EstateTrust {
  readonly estate: Estate
  /** Ids of the nodes whose word was compared, and of those that could not be reached then. */
  readonly compared: readonly string[]
  readonly missing: readonly string[]
  /** Newest checkpoint this phone verified: every resident is a witness. */
  readonly witnessed?: { readonly size: number; readonly root: string }
  readonly alarm?: 'differs' | 'fork'
}

/** The nodes disagree, or no longer say what this phone first learnt. Nothing may be signed after this. */
export class TrustAlarm extends Error {}

export const API = '/api/v1'

/** On the web the node that served this page has the empty address: same origin. */
const OWN_ORIGIN = ''

let policy: { readonly text: string; readonly parsed: Policy } | undefined

export async function estate(): Promise<Estate> {
  const known = store.read('trust')
  if (known?.alarm) throw new TrustAlarm(known.alarm)
  return known ? known.estate : (await meet()).estate
}

export function knownEstate(): Estate | undefined {
  return store.read('trust')?.estate
}

export async function trustedPolicy(): Promise<Policy> {
  const { policy: text } = await estate()
  if (policy?.text !== text) policy = { text, parsed: parsePolicy(text) }
  return policy.parsed
}

export function raiseAlarm(alarm: 'differs' | 'fork'): never {
  const known = store.read('trust')
  if (known) store.write('trust', { ...known, alarm })
  throw new TrustAlarm(alarm)
}

/** First use: ask the first node, then every node it names, and compare what decides trust. */
export async function meet(): Promise<EstateTrust> {
  const first = await askFirst()
  const others = await Promise.all(first.nodes.map((node) => askOne(node)))
  const compared = first.nodes.filter((_, at) => others[at] !== undefined).map((node) => node.id)
  const missing = first.nodes.filter((_, at) => others[at] === undefined).map((node) => node.id)
  const trust: EstateTrust = { estate: first, compared, missing }
  const differs = others.some((one) => one !== undefined && !isSameTrust(one, first))
  store.write('trust', differs ? { ...trust, alarm: 'differs' } : trust)
  if (differs) throw new TrustAlarm('differs')
  return trust
}

/** Later visits: names, phone and notice may change, what decides trust may not. */
export async function refreshEstate(): Promise<Estate> {
  const known = store.read('trust')
  if (!known) return (await meet()).estate
  if (known.alarm) throw new TrustAlarm(known.alarm)
  const fresh = await askFirst(known.estate.nodes)
  if (!isSameTrust(fresh, known.estate)) raiseAlarm('differs')
  store.write('trust', { ...known, estate: fresh })
  return fresh
}

async function askFirst(known: readonly NodeAddress[] = LINLI_ESTATE?.nodes ?? []): Promise<Estate> {
  const addresses = LINLI_ESTATE ? known.map((node) => node.url) : [OWN_ORIGIN, ...known.map((node) => node.url)]
  let failure: unknown
  for (const address of addresses) {
    try {
      return checkCompiled(await askEstate(address))
    } catch (error) {
      if (error instanceof TrustAlarm) throw error
      failure = error
    }
  }
  throw failure
}

function checkCompiled(answer: Estate): Estate {
  if (LINLI_ESTATE && !isSameTrust(answer, LINLI_ESTATE)) throw new TrustAlarm('differs')
  return answer
}

async function askOne(node: NodeAddress): Promise<Estate | undefined> {
  try {
    return await askEstate(node.url)
  } catch {
    return undefined
  }
}

async function askEstate(address: string): Promise<Estate> {
  const header = { 'Accept-Language': settings().language }
  return parseAnswer<Estate>(await exchange(address + API + '/estate', { header, timeoutMs: 5_000 }))
}

interface Deciding {
  readonly genesis_sha256: string
  readonly policy: string
}

function isSameTrust(one: Deciding, other: Deciding): boolean {
  return one.genesis_sha256 === other.genesis_sha256 && one.policy === other.policy
}
