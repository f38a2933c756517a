/**
 * The phone's first trust (decisions 25): who keeps the records, by which keys. In WeChat it is compiled in; on the web
 * all member nodes are asked at first use and must agree. From then on it is kept, and anything else is an alarm.
 */

import { sha256 } from '../core/digest'
import type { ConsensusKeys } from '../core/evidence'
import { readConsensusKeys } from '../core/genesis'
import { encodeHex } from '../core/hex'
import { parsePolicy, type Policy } from '../core/policy'
import { encodeUtf8 } from '../core/utf8'
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
  /** On the web: the node that served this page, asked without naming an origin. */
  readonly own: string
  /** Ids of the nodes whose word was compared, and of those that could not be reached then. */
  readonly compared: readonly string[]
  readonly missing: readonly string[]
  readonly alarm?: 'differs' | 'fork'
}

/** The nodes disagree, or no longer say what this phone first learnt. Nothing may be signed after this. */
export class TrustAlarm extends Error {
  constructor(readonly alarm: 'differs' | 'fork') {
    super(alarm)
  }
}

export const API = '/api/v1'

/** On the web the node that served this page has the empty address: same origin. */
const OWN_ORIGIN = ''

/** Pages that start together meet the nodes once. */
let meeting: Promise<EstateTrust> | undefined
let policy: { readonly text: string; readonly parsed: Policy } | undefined

export async function estate(): Promise<Estate> {
  const known = store.read('trust')
  if (known?.alarm) throw new TrustAlarm(known.alarm)
  return known ? known.estate : (await meet()).estate
}

/** Nodes that can be asked, the serving one first. A node whose address nobody told is known by name only. */
export async function addresses(): Promise<readonly NodeAddress[]> {
  const { nodes } = await estate()
  const own = store.read('trust')?.own ?? ''
  return reachable(nodes, own)
}

/** The same without asking anybody, and after an alarm too: what was found must reach everybody who is there. */
export function knownAddresses(): readonly NodeAddress[] {
  const trust = store.read('trust')
  return trust ? reachable(trust.estate.nodes, trust.own) : []
}

function reachable(nodes: readonly NodeAddress[], own: string): readonly NodeAddress[] {
  const serving = nodes.filter((node) => node.id === own).map((node) => ({ ...node, url: OWN_ORIGIN }))
  return [...serving, ...nodes.filter((node) => node.id !== own && node.url !== '')]
}

export function knownEstate(): Estate | undefined {
  return store.read('trust')?.estate
}

export async function trustedPolicy(): Promise<Policy> {
  const { policy: text } = await estate()
  if (policy?.text !== text) policy = { text, parsed: parsePolicy(text) }
  return policy.parsed
}

/** What genesis adds to the policy, from whichever node has the very genesis that this phone trusts; else undefined. */
export async function trustedKeys(): Promise<ConsensusKeys | undefined> {
  const { genesis_sha256: digest } = await estate()
  const isTrusted = (text: string): boolean => encodeHex(sha256(encodeUtf8(text))) === digest
  const kept = store.read('genesis')
  if (kept !== undefined && isTrusted(kept)) return readConsensusKeys(kept)
  for (const node of await addresses()) {
    const text = await askGenesis(node.url)
    if (text === undefined || !isTrusted(text)) continue
    store.write('genesis', text)
    return readConsensusKeys(text)
  }
  return undefined
}

async function askGenesis(address: string): Promise<string | undefined> {
  try {
    const { status, text } = await exchange(address + '/genesis.json', { timeoutMs: 5_000 })
    return status === 200 ? text : undefined
  } catch {
    return undefined
  }
}

export function raiseAlarm(alarm: 'differs' | 'fork'): never {
  const known = store.read('trust')
  if (known) store.write('trust', { ...known, alarm })
  throw new TrustAlarm(alarm)
}

/** First use: ask the first node, then every node it names, and compare what decides trust. */
export function meet(): Promise<EstateTrust> {
  meeting ??= compareNodes().finally(() => (meeting = undefined))
  return meeting
}

async function compareNodes(): Promise<EstateTrust> {
  const first = await askFirst()
  const own = LINLI_ESTATE ? '' : await askOwnId()
  const asked = reachable(first.nodes, own)
  const answers = await Promise.all(asked.map((node) => askOne(node)))
  const compared = asked.filter((_, at) => answers[at] !== undefined).map((node) => node.id)
  const missing = first.nodes.map((node) => node.id).filter((id) => !compared.includes(id))
  const trust: EstateTrust = { estate: first, own, compared, missing }
  const differs = answers.some((one) => one !== undefined && !isSameTrust(one, first))
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
  // An alarm that was raised while the node was asked stays.
  const now = store.read('trust') ?? known
  if (now.alarm) throw new TrustAlarm(now.alarm)
  if (!isSameTrust(fresh, now.estate)) raiseAlarm('differs')
  store.write('trust', { ...now, estate: fresh })
  return fresh
}

async function askFirst(known: readonly NodeAddress[] = LINLI_ESTATE?.nodes ?? []): Promise<Estate> {
  const urls = known.map((node) => node.url).filter((url) => url !== '')
  let failure: unknown
  for (const address of LINLI_ESTATE ? urls : [OWN_ORIGIN, ...urls]) {
    try {
      return checkCompiled(await askEstate(address))
    } catch (error) {
      if (error instanceof TrustAlarm) throw error
      failure = error
    }
  }
  throw failure
}

/** Which node serves this page; '' when it does not say, and then all are asked by their addresses. */
async function askOwnId(): Promise<string> {
  try {
    return parseAnswer<{ node: string }>(await exchange(OWN_ORIGIN + '/healthz', { timeoutMs: 5_000 })).node
  } catch {
    return ''
  }
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
