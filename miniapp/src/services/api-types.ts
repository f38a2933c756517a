/** Shapes of the answers of /api/v1, as the pages rely on them. Times in ms, areas in cm2, points as integers. */

export interface NodeAddress {
  readonly id: string
  readonly name: string
  readonly url: string
}

export interface Estate {
  readonly id: string
  readonly name: string
  /** b64u of 32 bytes. */
  readonly cluster_id: string
  readonly origin: string
  /** Lower-case hex. */
  readonly genesis_sha256: string
  /** tlog-policy text. */
  readonly policy: string
  readonly privacy: { readonly version: number; readonly zh: string; readonly en: string }
  readonly phone: string
  readonly nodes: readonly NodeAddress[]
  readonly server_ms: number
}

export interface NodeLamp {
  readonly id: string
  readonly name: string
  readonly reachable: boolean
  readonly size: number
  readonly lag: number
}

export interface Cluster {
  readonly view: number
  readonly height: number
  readonly size: number
  readonly committed_size: number
  readonly sealed_size: number
  readonly nodes: readonly NodeLamp[]
}

export interface Attestation {
  readonly evidence: 'phone' | 'wechat' | 'document'
  readonly node: string
  readonly signature: string
  readonly time_ms: number
}

export interface Attested {
  readonly member: string
  readonly attestation: Attestation
}

export type Role = 'resident' | 'owner' | 'committee' | 'staff' | 'property' | 'merchant' | 'auditor' | 'officer'

export interface Unit {
  readonly id: string
  readonly label: string
  readonly area_cm2: number
}

export interface SessionInfo {
  readonly member: string
  readonly name: string
  readonly roles: readonly string[]
  readonly units: readonly Unit[]
  readonly kid: string
  readonly server_ms: number
}

export interface OpenedSession {
  readonly access_token: string
  readonly expires_ms: number
  readonly member: string
  readonly roles: readonly string[]
}

export interface RecordAnswer {
  readonly id: string
  readonly outcome: string
  /** Text of the receipt file; absent while it is not certified (202). */
  readonly receipt?: string
}

export interface Device {
  readonly kid: string
  readonly label: string
  readonly bound_ms: number
  readonly votes_from_ms: number
  readonly attested_by: readonly string[]
  readonly revoked: boolean
}

export type MotionState = 'announced' | 'open' | 'closed' | 'final' | 'cancelled'

export interface MotionSummary {
  readonly id: string
  readonly title: string
  readonly matter: string
  readonly state: MotionState
  readonly opens_ms: number
  readonly close_ms: number
  readonly mine?: readonly MyBallot[]
}

export interface Choice {
  readonly id: string
  readonly text: string
}

export interface Question {
  readonly id: string
  readonly text: string
  readonly choices: readonly Choice[]
}

export interface MyBallot {
  readonly question: string
  readonly position: number
  /** Record id of the counted ballot, or ''. */
  readonly ballot: string
  /** Choice id, shown to the voter only, or ''. */
  readonly choice: string
}

export interface Turnout {
  readonly heads: number
  readonly area_cm2: number
  readonly heads_total: number
  readonly area_total_cm2: number
}

export interface ChoiceTotal {
  readonly choice: string
  readonly heads: number
  readonly area_cm2: number
}

export interface QuestionResult {
  readonly question: string
  readonly choices: readonly ChoiceTotal[]
  readonly quorum: boolean
  readonly majority: boolean
  readonly passed: boolean
  readonly clause: string
}

export interface MotionResult {
  readonly questions: readonly QuestionResult[]
  readonly grade: 'closed' | 'final' | 'final_without'
  readonly missing: readonly string[]
}

export interface Motion extends MotionSummary {
  readonly text: string
  readonly roll: string
  readonly questions: readonly Question[]
  readonly turnout: Turnout
  readonly mine: readonly MyBallot[]
  readonly result?: MotionResult
}

export interface TicketSummary {
  readonly id: string
  readonly category: string
  readonly state: string
  readonly place: string
  readonly at_ms: number
}

export interface TicketStep {
  readonly record: string
  readonly kind: string
  readonly at_ms: number
  readonly by: string
  readonly note: string
  readonly photos: readonly string[]
}

export interface Ticket {
  readonly id: string
  readonly category: string
  readonly state: string
  readonly place: string
  readonly text: string
  readonly contact: string
  readonly photos: readonly string[]
  readonly history: readonly TicketStep[]
  /** Verbs this member may sign now: assign, progress, complete, confirm, reopen. */
  readonly may: readonly string[]
}

export interface UploadedPhoto {
  readonly sha256: string
  readonly original_sha256: string
  readonly width: number
  readonly height: number
  readonly size: number
}

export interface PointsEntry {
  readonly record: string
  readonly kind: string
  readonly amount: number
  readonly at_ms: number
  readonly counterpart: string
  readonly reason: string
}

export interface PointsAccount {
  readonly balance: number
  readonly entries: readonly PointsEntry[]
}

export type OfferState = 'open' | 'redeemed' | 'undone' | 'expired'

export interface Offer {
  readonly offer: string
  readonly shop: { readonly id: string; readonly name: string }
  readonly amount: number
  readonly due_ms: number
  readonly state: OfferState
}

export interface MerchantOffer {
  readonly offer: string
  readonly amount: number
  readonly due_ms: number
  readonly state: OfferState
  readonly redeemed_ms?: number
}

export interface Page<Item> {
  readonly items: readonly Item[]
  readonly cursor?: string
}
