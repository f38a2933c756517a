/** The endpoints of /api/v1 that pages need. Thin on purpose: one line each, shapes in api-types.ts. */

import type {
  Attested,
  Cluster,
  Device,
  Matter,
  MerchantOffer,
  Motion,
  MotionSummary,
  NodeAddress,
  Offer,
  Page,
  PersonFound,
  PointsAccount,
  RecordState,
  RollView,
  SessionInfo,
  Shop,
  ShopListed,
  Ticket,
  TicketSummary,
  UploadedPhoto,
} from './api-types'
import type { CounterCodeGiven, EvidenceList, Forks, Signatures, Waiting } from './generated'
import type { PublicJwk } from '../core/device-key'
import { decodeBase64Url } from '../core/base64'
import type { Split } from '../core/split'
import { ApiProblem, exchange, headerOf, parseAnswer, upload } from './http'
import { askAny, askAsMember, askNode, askOrganisation, tryNodes, withSession } from './nodes'
import { API } from './trust'
import { call } from './platform'

const get = async <Body>(path: string): Promise<Body> => parseAnswer<Body>(await askAsMember(path))
const listOf = async <Item>(path: string): Promise<Page<Item>> => get<Page<Item>>(path)

export interface Claim {
  readonly phone: string
  readonly name: string
  /** Empty for who owns no home and was added by an officer. */
  readonly room: string
}

/** A checkpoint as somebody told it, with the proof, if one came along, that it continues the one that was named. */
export interface ToldCheckpoint {
  readonly note: string
  readonly proof?: readonly Uint8Array[]
}

export const api = {
  /** The node's newest checkpoint; `seenSize` is how much of the log this phone has seen. */
  checkpoint: async (node: NodeAddress, seenSize: number): Promise<ToldCheckpoint> => {
    const header = { 'X-Linli-Size': String(seenSize) }
    const answer = await exchange(node.url + '/checkpoint', { header, timeoutMs: 10_000 })
    const proof = headerOf(answer, 'X-Linli-Consistency')
    return proof === '' ? { note: answer.text } : { note: answer.text, proof: proof.split(' ').map(decodeBase64Url) }
  },
  evidence: (node: NodeAddress, split: Split) => askNode(node, '/evidence', { method: 'POST', data: split }),
  knownEvidence: async (node: NodeAddress) =>
    parseAnswer<EvidenceList>(await askNode(node, '/evidence', { timeoutMs: 10_000 })),
  forks: async (node: NodeAddress) => parseAnswer<Forks>(await askNode(node, '/forks', { timeoutMs: 10_000 })),
  cluster: async () => parseAnswer<Cluster>(await askAny('/cluster')),
  consistency: async (node: NodeAddress, from: number, to: number) =>
    parseAnswer<{ proof: readonly string[] }>(await askNode(node, `/consistency?from=${from}&to=${to}`)),
  session: () => get<SessionInfo>('/session'),

  sendCode: (node: NodeAddress, claim: Claim) => askNode(node, '/identity/phone-code', { method: 'POST', data: claim }),
  attestPhone: async (node: NodeAddress, phone: string, code: string, device_key: PublicJwk) =>
    parseAnswer<Attested>(
      await askNode(node, '/identity/phone-attestation', { method: 'POST', data: { phone, code, device_key } }),
    ),
  attestWechat: async (node: NodeAddress, login_code: string, phone_code: string, device_key: PublicJwk) =>
    parseAnswer<Attested>(
      await askNode(node, '/identity/wechat-attestation', {
        method: 'POST',
        data: { login_code, phone_code, device_key },
      }),
    ),
  counterCode: async (node: NodeAddress, device_key: PublicJwk) =>
    parseAnswer<CounterCodeGiven>(await askNode(node, '/identity/counter', { method: 'POST', data: { device_key } })),
  counterWord: async (node: NodeAddress, code: string) =>
    parseAnswer<Waiting>(await askNode(node, '/identity/counter/' + encodeURIComponent(code))),

  postRecord: async (record: string, openings: readonly string[]) => {
    const data = openings.length > 0 ? { record, openings } : { record }
    const answer = await askAny('/records', { method: 'POST', data, timeoutMs: 20_000 })
    return parseAnswer<{ id: string; receipt?: string }>(answer)
  },
  record: async (id: string, expiresMs: number) =>
    parseAnswer<RecordState>(await askAny(`/records/${id}?expires_ms=${expiresMs}`)),
  receipt: async (id: string) => (await askAny(`/records/${id}/receipt`)).text,

  devices: () => listOf<Device>('/devices'),
  motions: () => listOf<MotionSummary>('/motions?limit=50'),
  motion: (id: string) => get<Motion>('/motions/' + encodeURIComponent(id)),
  signatures: (id: string) => get<Signatures>(`/motions/${encodeURIComponent(id)}/committee`),
  matters: () => listOf<Matter>('/matters'),
  /** Those in force, the newest first. */
  rolls: () => listOf<RollView>('/rolls'),
  people: async (organisation: string, query: string) =>
    parseAnswer<Page<PersonFound>>(await askOrganisation(organisation, '/people?query=' + encodeURIComponent(query))),
  myTickets: () => listOf<TicketSummary>('/tickets?limit=50&mine=true'),
  tickets: () => listOf<TicketSummary>('/tickets?limit=50'),
  ticket: (id: string) => get<Ticket>('/tickets/' + encodeURIComponent(id)),
  account: () => get<PointsAccount>('/points/account'),
  offer: (code: string) => get<Offer>('/offers/' + encodeURIComponent(code)),
  merchantOffers: () => listOf<MerchantOffer>('/merchant/offers'),
  ownShop: () => get<Shop>('/merchant/shop'),
  shops: async (organisation: string) =>
    parseAnswer<Page<ShopListed>>(await askOrganisation(organisation, '/shops?limit=200')),
  nameShop: async (organisation: string, shop: string, name: string) =>
    parseAnswer<Shop>(await askOrganisation(organisation, '/shops', { method: 'POST', data: { shop, name } })),
  makeAlias: async (offer: string, code: string) =>
    parseAnswer<{ alias: string }>(await askAsMember('/offers/alias', { method: 'POST', data: { offer, code } })),

  uploadPhoto: (filePath: string) =>
    tryNodes((node) =>
      withSession(node, async (header) =>
        parseAnswer<UploadedPhoto>(await upload(node.url + API + '/photos', filePath, header)),
      ),
    ),
  /** A path an <image> can show; pictures are served by right, so the address alone would not do. */
  showPhoto: (sha256: string, size: 'full' | 'thumbnail') =>
    tryNodes((node) =>
      withSession(node, async (header) => {
        const url = `${node.url}${API}/photos/${sha256}?size=${size}`
        const { statusCode, tempFilePath } = await call(wx.downloadFile, { url, header })
        // What came is then a problem in words, not a picture.
        if (statusCode !== 200) throw new ApiProblem(statusCode, 'photo_unknown', '', {}, 0)
        return tempFilePath
      }),
    ),
}
