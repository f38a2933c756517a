/** A phone that stopped for a fork goes on as soon as it has proven from genesis that operators resolved that very fork. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { beforeEach, expect, it, vi } from 'vitest'
import type { Link } from '../../src/core/succession'
import { LogNode, Phone } from './log-nodes'

interface Case {
  readonly name: string
  readonly links: readonly Link[]
  readonly eras: readonly { readonly policy: string }[]
  readonly checkpoints: readonly { readonly note: string; readonly abandoned: readonly string[] }[]
}

const file = JSON.parse(readFileSync(new URL('../../../schemas/vectors/successions.json', import.meta.url), 'utf8')) as {
  readonly genesis: string
  readonly cases: readonly Case[]
}
const found = file.cases.find((one) => one.name === 'a fork is resolved')!
const genesis = Buffer.from(file.genesis)
const genesis_sha256 = createHash('sha256').update(genesis).digest('hex')
const [kept, lost] = [found.checkpoints[0]!.note, found.checkpoints[1]!.note]
const FORKS = [{ epoch: 1, fork_size: 0, records: 3 }]

/** A node that shows what `links` prove of the members. */
class MemberNode extends LogNode {
  links: readonly Link[] = []
  estate: object = {}

  override answer(path: string, query: URLSearchParams, request: Parameters<LogNode['answer']>[2]): Partial<WxResponse> | null {
    const bytes = new Uint8Array(genesis).buffer as ArrayBuffer
    const told: Record<string, Partial<WxResponse>> = {
      '/api/v1/estate': { statusCode: 200, data: JSON.stringify(this.estate) },
      '/api/v1/forks': { statusCode: 200, data: JSON.stringify({ forks: FORKS }) },
      '/genesis.json': { statusCode: 200, data: bytes },
      '/succession.json': { statusCode: 200, data: JSON.stringify({ links: this.links }) },
    }
    return this.isAway ? null : (told[path] ?? super.answer(path, query, request))
  }
}

let node: MemberNode
let phone: Phone
let splitting: typeof import('../../src/services/splits')

const policyAt = (at: number) => found.eras[at]!.policy
const trust = () => phone.stored<{ alarm?: string; estate: { policy: string } }>('trust')!
const store = (key: string, value: unknown) => phone.storage.set('linli.1.' + key, value)

beforeEach(async () => {
  vi.resetModules()
  node = new MemberNode('street', [])
  phone = new Phone([node])
  const { estate, ...rest } = phone.stored<{ estate: object }>('trust')!
  store('trust', { ...rest, alarm: 'fork', estate: { ...estate, genesis_sha256, policy: policyAt(0) } })
  store('splits', [{ notes: [kept, lost], proofs: [], foundMs: 1, sent: [] }])
  node.estate = { ...estate, genesis_sha256, policy: policyAt(found.eras.length - 1) }
  node.links = found.links
  // As in WeChat: nodes are known by their addresses only.
  Object.assign(globalThis, { LINLI_ESTATE: { nodes: [], genesis_sha256, policy: policyAt(0) } })
  splitting = await import('../../src/services/splits')
})

it('goes on with what the operators kept', async () => {
  expect(splitting.isSettled()).toBe(false)
  expect(await splitting.settleFork()).toBe(true)
  expect(trust().alarm).toBeUndefined()
  expect(trust().estate.policy).toBe(policyAt(found.eras.length - 1))
  expect(splitting.isSettled()).toBe(true)
})

it('stays stopped while no node shows a resolution', async () => {
  node.links = []
  node.estate = { ...node.estate, policy: policyAt(0) }
  expect(await splitting.settleFork()).toBe(false)
  expect(trust().alarm).toBe('fork')
})

it('stays stopped when another fork was resolved than the one that it found', async () => {
  store('splits', [{ notes: [kept, kept], proofs: [], foundMs: 1, sent: [] }])
  expect(await splitting.settleFork()).toBe(false)
  expect(trust().alarm).toBe('fork')
})

it('is told by nobody to trust what genesis does not lead to', async () => {
  const [link] = found.links
  node.links = [{ change: link!.end, end: link!.change }]
  await expect(splitting.settleFork()).rejects.toThrow()
  expect(trust().alarm).toBeDefined()
})

it('shows what was resolved, and nothing while nobody answers', async () => {
  expect(await splitting.resolvedForks()).toEqual(FORKS)
  node.isAway = true
  expect(await splitting.resolvedForks()).toEqual([])
})
