/** The generated shapes (generated.ts) under the names that pages use. */

import type {
  ClusterState,
  DeviceView,
  EstateView,
  MatterView,
  MotionPage,
  OfferView,
  QuestionView,
  TicketPage,
  TurnoutView,
  WaitingDecision,
} from './generated'

export type {
  Attestation,
  Attested,
  MerchantOffer,
  MotionResult,
  MotionSummary,
  MyBallot,
  NodeAddress,
  OpenedSession,
  PersonFound,
  PointsAccount,
  PointsEntry,
  QuestionResult,
  RecordState,
  RollView,
  SessionInfo,
  Shop,
  ShopListed,
  TicketStep,
  TicketSummary,
  Unit,
  UploadedPhoto,
  WaitingDecision,
} from './generated'

export type Cluster = ClusterState
export type Device = DeviceView
export type Estate = EstateView
export type Matter = MatterView
export type Waits = WaitingDecision
export type Motion = MotionPage
export type Offer = OfferView
export type Question = QuestionView
export type Choice = QuestionView['choices'][number]
export type Ticket = TicketPage
export type Turnout = TurnoutView

/** Items, and where the next page begins; no cursor: this was the last. */
export interface Page<Item> {
  readonly items: readonly Item[]
  readonly cursor?: string
}
