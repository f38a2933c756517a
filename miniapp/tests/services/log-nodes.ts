/**
 * Nodes as a phone meets them over the network: each shows a log of its own (checkpoint, consistency, tiles), is away, or
 * hides things; and WeChat's runtime as far as the services use it.
 */

import { checkpointNote, consistencyOf, leafOf, MEMBERS, POLICY, rootOf, type MemberId } from '../core/log-builder'

type Request = WxRequest & WxCallbacks<WxResponse>

export const CLUSTER = 'q'.repeat(43)
export const entriesOf = (size: number, changedFrom = Infinity): string[] =>
  Array.from({ length: size }, (_, at) => (at >= changedFrom ? `other ${at}` : `entry ${at}`))

export class LogNode {
  isAway = false
  hidesProofs = false
  hidesTiles = false
  takesEvidence = true
  signers: readonly MemberId[] = MEMBERS
  /** Of whichever record is asked for. */
  receipt = ''
  readonly evidence: unknown[] = []
  /** What it shows against others. */
  shown: unknown = []
  readonly asked: string[] = []
  /** The header X-Linli-Size of each look at the checkpoint. */
  readonly sizes: string[] = []

  constructor(
    readonly id: MemberId,
    public entries: readonly string[],
  ) {}

  answer(path: string, query: URLSearchParams, request: Request): Partial<WxResponse> | null {
    if (this.isAway) return null
    this.asked.push(path)
    if (path === '/checkpoint') return this.checkpoint(request.header ?? {})
    if (path === '/api/v1/consistency') return this.consistency(Number(query.get('from')), Number(query.get('to')))
    if (path.startsWith('/tile/')) return this.tile(path)
    if (path.startsWith('/api/v1/records/')) return { statusCode: this.receipt ? 200 : 404, data: this.receipt || '{}' }
    if (path === '/api/v1/evidence') return request.method === 'POST' ? this.take(request.data) : this.show()
    return { statusCode: 404, data: '{"code":"not_found"}' }
  }

  private checkpoint(header: Record<string, string>): Partial<WxResponse> {
    const seen = Number(header['X-Linli-Size'])
    this.sizes.push(header['X-Linli-Size']!)
    const isProved = !this.hidesProofs && seen > 0 && seen < this.entries.length
    const proof = isProved ? { 'x-linli-consistency': this.proof(seen, this.entries.length).join(' ') } : {}
    return { statusCode: 200, data: checkpointNote(this.entries, this.signers), header: proof as Record<string, string> }
  }

  private consistency(from: number, to: number): Partial<WxResponse> {
    if (this.hidesProofs || to > this.entries.length) return { statusCode: 400, data: '{"code":"malformed"}' }
    return { statusCode: 200, data: JSON.stringify({ proof: this.proof(from, to) }) }
  }

  private proof(from: number, to: number): string[] {
    return consistencyOf(from, this.entries.slice(0, to).map(leafOf)).map((hash) => hash.toString('base64url'))
  }

  private tile(path: string): Partial<WxResponse> {
    const [, level, number, width] = /^\/tile\/(\d)\/(\d{3})(?:\.p\/(\d+))?$/.exec(path)!
    const each = 256 ** Number(level)
    const begin = Number(number) * 256 * each
    if (this.hidesTiles || begin + Number(width ?? 256) * each > this.entries.length) return { statusCode: 404, data: '{}' }
    const leaves = this.entries.map(leafOf)
    const hashes = Array.from({ length: Number(width ?? 256) }, (_, at) =>
      rootOf(leaves.slice(begin + at * each, begin + (at + 1) * each)),
    )
    return { statusCode: 200, data: new Uint8Array(Buffer.concat(hashes)).buffer as ArrayBuffer }
  }

  private show(): Partial<WxResponse> {
    return { statusCode: 200, data: JSON.stringify({ evidence: this.shown, barred: [] }) }
  }

  private take(data: unknown): Partial<WxResponse> {
    if (!this.takesEvidence) return { statusCode: 404, data: '{"code":"not_found"}' }
    this.evidence.push(data)
    return { statusCode: 202, data: '{}' }
  }
}

export class Phone {
  readonly storage = new Map<string, unknown>()

  constructor(readonly nodes: readonly LogNode[]) {
    const addresses = nodes.map(({ id }) => ({ id, name: id, url: `https://${id}.example` }))
    const estate = { cluster_id: CLUSTER, policy: POLICY, nodes: addresses, genesis_sha256: 'ab', phone: '021' }
    this.storage.set('linli.1.trust', { estate, own: '', compared: MEMBERS, missing: [] })
    Object.assign(globalThis, { wx: this.runtime(), LINLI_ESTATE: null })
  }

  stored<Value>(key: string): Value | undefined {
    return this.storage.get('linli.1.' + key) as Value | undefined
  }

  private runtime() {
    return {
      getStorageSync: (key: string) => this.storage.get(key) ?? '',
      setStorageSync: (key: string, value: unknown) => void this.storage.set(key, structuredClone(value)),
      removeStorageSync: (key: string) => void this.storage.delete(key),
      getAppBaseInfo: () => ({ language: 'zh_CN' }),
      request: (request: Request) => this.ask(request),
    }
  }

  private ask(request: Request): void {
    const url = new URL(request.url)
    const node = this.nodes.find(({ id }) => url.host === `${id}.example`)
    const answer = node?.answer(url.pathname, url.searchParams, request)
    if (!answer) return request.fail?.({ errMsg: 'request:fail' })
    request.success?.({ statusCode: 200, data: '', header: {}, ...answer })
  }
}
