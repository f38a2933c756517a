/**
 * The phone's first trust (decisions 25): who keeps the records, by which keys. In WeChat it is compiled in; on the web
 * all member nodes are asked at first use and must agree. From then on it is kept, and anything else is an alarm.
 */

import type { PolicySource } from '../core/checkpoint'
import { sha256 } from '../core/digest'
import type { ConsensusKeys } from '../core/evidence'
import { decodeHex, encodeHex } from '../core/hex'
import { parsePolicy, type Policy } from '../core/policy'
import { consensusKeys, followLinks, policyBySize, SuccessionError, type Era, type Link } from '../core/succession'
import { encodeBase64Url } from '../core/base64'
import { encodeUtf8 } from '../core/utf8'
import { exchange, fetchBytes, NetworkError, parseAnswer } from './http'
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
  /** Proven from genesis, oldest first, as soon as other members than those of genesis keep the records. */
  readonly eras?: readonly Era[]
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
let policies: { readonly eras: readonly Era[]; readonly bySize: PolicySource } | undefined
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

/** Of the members that keep the records now. */
export async function trustedPolicy(): Promise<Policy> {
  const { policy: text } = await estate()
  if (policy?.text !== text) policy = { text, parsed: parsePolicy(text) }
  return policy.parsed
}

/** The policy for whatever was signed, also by members of an earlier time. */
export async function trustedPolicies(): Promise<PolicySource> {
  const now = await trustedPolicy()
  const eras = store.read('trust')?.eras
  if (!eras) return now
  if (policies?.eras !== eras) policies = { eras, bySize: policyBySize(eras) }
  return policies.bySize
}

/** All eras that were proven from genesis; none while the members are those of genesis. */
export function trustedEras(): readonly Era[] {
  return store.read('trust')?.eras ?? []
}

/**
 * With which keys members vote, since genesis. Undefined when that is not kept, and no node can show the very genesis
 * that this phone trusts.
 */
export async function trustedKeys(): Promise<ConsensusKeys | undefined> {
  const { genesis_sha256: digest } = await estate()
  const clusterId = encodeBase64Url(decodeHex(digest))
  const eras = trustedEras()
  if (eras.length > 0 && eras.every((era) => era.voters)) return consensusKeys(clusterId, eras)
  const genesis = store.read('genesis') ?? (await askGenesis(digest))
  return genesis === undefined ? undefined : consensusKeys(clusterId, followLinks(encodeUtf8(genesis), []))
}

/** genesis.json of whichever node has it; it counts by its hash, whoever sends it, and is kept. */
async function askGenesis(digest: string): Promise<string | undefined> {
  for (const { url } of await addresses()) {
    const text = await exchange(url + '/genesis.json', { timeoutMs: 5_000 }).then(
      (answer) => answer.text,
      () => '',
    )
    if (encodeHex(sha256(encodeUtf8(text))) !== digest) continue
    store.write('genesis', text)
    return text
  }
  return undefined
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
  const eras = await provenEras(first, LINLI_ESTATE ?? undefined)
  if (LINLI_ESTATE && !eras && !isSameTrust(first, LINLI_ESTATE)) throw new TrustAlarm('differs')
  const trust: EstateTrust = { estate: first, own, compared, missing, ...(eras ? { eras } : {}) }
  const differs = answers.some((one) => one !== undefined && !agrees(one, first, eras))
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
  if (isSameTrust(fresh, now.estate)) {
    store.write('trust', { ...now, estate: fresh })
    return fresh
  }
  // A node that is behind still tells members of an earlier time: what this phone knows stays.
  if (agrees(fresh, now.estate, now.eras)) return now.estate
  const eras = await provenEras(fresh, now.estate)
  if (!eras) return now.estate
  store.write('trust', { ...(store.read('trust') ?? now), estate: fresh, eras })
  return fresh
}

/**
 * Operators may have resolved the fork that stopped this phone: then what they kept is proven from genesis, and the alarm
 * ends. `explains` says whether the fork that was found here is the one that was resolved. Returns whether it has ended.
 */
export async function liftForkAlarm(explains: (eras: readonly Era[]) => boolean): Promise<boolean> {
  const known = store.read('trust')
  if (known?.alarm !== 'fork') return false
  const fresh = await askFirst(known.estate.nodes)
  if (fresh.genesis_sha256 !== known.estate.genesis_sha256) return false
  const eras = await provenEras(fresh, known.estate)
  if (!eras || !explains(eras)) return false
  const { alarm: _lifted, ...rest } = store.read('trust') ?? known
  store.write('trust', { ...rest, estate: fresh, eras })
  return true
}

/** All eras that were proven, oldest first; none while the members are those of genesis. */
export const provenSoFar = (): readonly Era[] => store.read('trust')?.eras ?? []

/** Whether a node tells what is trusted, now or at an earlier time. */
function agrees(told: Deciding, known: Deciding, eras: readonly Era[] | undefined): boolean {
  if (isSameTrust(told, known)) return true
  return told.genesis_sha256 === known.genesis_sha256 && !!eras?.some((era) => era.policy === told.policy)
}

/**
 * The eras from genesis to what a node tells, proven here by nothing but genesis (core/succession). Undefined while the
 * members are those of genesis, and when no node can show the links now. Throws TrustAlarm when they lead elsewhere, or
 * do not hold `known`, what this phone has trusted so far.
 */
async function provenEras(told: Estate, known: Deciding | undefined): Promise<readonly Era[] | undefined> {
  if (known && told.genesis_sha256 !== known.genesis_sha256) raiseAlarm('differs')
  const files = await askSuccession(told)
  if (!files) return undefined
  if (files.links.length === 0) {
    if (known && told.policy !== known.policy) raiseAlarm('differs')
    return undefined
  }
  const eras = followOrAlarm(files.genesis, files.links)
  const policies = eras.map((era) => era.policy)
  if (policies[policies.length - 1] !== told.policy || (known && !policies.includes(known.policy))) raiseAlarm('differs')
  return eras
}

function followOrAlarm(genesis: Uint8Array, links: readonly Link[]): readonly Era[] {
  try {
    return followLinks(genesis, links)
  } catch (error) {
    if (error instanceof SuccessionError) raiseAlarm('differs')
    throw error
  }
}

interface SuccessionFiles {
  readonly genesis: Uint8Array
  readonly links: readonly Link[]
}

/** From the first node that shows them; genesis counts by its hash, whoever sends it. */
async function askSuccession(told: Estate): Promise<SuccessionFiles | undefined> {
  const urls = told.nodes.map((node) => node.url).filter((url) => url !== '')
  for (const address of LINLI_ESTATE ? urls : [OWN_ORIGIN, ...urls]) {
    try {
      const answer = await exchange(address + '/succession.json', { timeoutMs: 5_000 })
      const { links } = parseAnswer<{ links: readonly Link[] }>(answer)
      const genesis = links.length === 0 ? new Uint8Array() : await fetchBytes(address + '/genesis.json', 5_000)
      if (links.length === 0 || encodeHex(sha256(genesis)) === told.genesis_sha256) return { genesis, links }
    } catch (error) {
      // Who answers, but has no links to show, proves nothing; the node after may be reached where this one is not.
      if (!(error instanceof NetworkError)) return { genesis: new Uint8Array(), links: [] }
    }
  }
  return undefined
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
  if (LINLI_ESTATE && answer.genesis_sha256 !== LINLI_ESTATE.genesis_sha256) throw new TrustAlarm('differs')
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
