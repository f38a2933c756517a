/** Made by scripts/generate.py from schemas/openapi.json. Do not edit: change the declaration on the server. */

/* eslint-disable */

/** The record took effect; the receipt proves it. */
export interface Accepted {
  readonly id: string
  readonly outcome: string
  readonly index: number
  readonly receipt: string
}

/** Officers of as many organisations as must approve have the next version of the rules begin at a block height. */
export interface ActivateRules {
  readonly height: number
  readonly version: number
}

/** A person whom an officer added: the document's number masked, of the phone the last four digits. */
export interface AddedPersonView {
  readonly member: string
  readonly name: string
  readonly document_kind: string
  readonly document_masked: string
  readonly phone_tail: string
}

/** A committee member signs what the owners adopted; in force when more than half of the committee signed the same. */
export interface AdoptProcedure {
  readonly document: readonly PhotoRef[]
  readonly name: string
  readonly rules: Procedure
}

/** Eight characters that a person can type. */
export interface Alias {
  readonly alias: string
}

/** The offer's id and the code behind it: who holds the code may have its alias. */
export interface AliasAsked {
  readonly offer: string
  readonly code: string
}

/** The process answers. */
export interface Alive {
  readonly node: string
}

/** Members of the committee answer an objection; it takes more than half of them under the same words. */
export interface AnswerObjection {
  readonly objection: string
  readonly reason: string
  readonly upheld: boolean
}

/** A further member of the committee signs a proposed motion; with more than half of all it is announced. */
export interface ApproveMotion {
  readonly motion: string
  readonly petition: string
  readonly roll: string
}

/** Staff or the committee names who handles a ticket. */
export interface AssignTicket {
  readonly ticket: string
  readonly handler: string
}

/** An organisation's word that a key belongs to a person (decisions 13). */
export interface Attestation {
  readonly evidence: "document" | "phone" | "wechat"
  readonly node: string
  readonly signature: string
  readonly time_ms: number
}

/** This organisation's word, to go into a `device.bind`. */
export interface Attested {
  readonly member: string
  readonly attestation: Attestation
}

/** A line that cannot be taken; `line` is the row of the sheet, the header being row 1. */
export interface BadLine {
  readonly line: number
  readonly reason: string
}

/** A person ties a new key to himself; the key being bound signs, organisations attest. */
export interface BindDevice {
  readonly attestations: readonly Attestation[]
  readonly device_key: DeviceKey
  readonly label: string
  readonly member: string
  readonly privacy_version: number
}

/** An entry under a checkpoint: the leaf's hash at this index, and its inclusion proof (RFC 9162 2.1.3). */
export interface Branch {
  readonly index: number
  readonly leaf: string
  readonly proof: readonly string[]
}

/** What became of the abandoned records that this node holds: how many were accepted, and the others, with the reason why they took no effect or could not be ordered any more. */
export interface BroughtAgain {
  readonly accepted: number
  readonly others: readonly Resubmitted[]
}

/** Two checkpoints with cosignatures of one member, or one with a cosignature by a key that was retired before. */
export interface BroughtEvidence {
  readonly notes: readonly string[]
  readonly proofs?: readonly Branch[]
}

/** A member of the committee signs that a motion does not take place, and why: before its close. */
export interface CancelMotion {
  readonly motion: string
  readonly reason: string
}

/** An owner casts the one ballot of his head in a question, or replaces the ballot he cast before. */
export interface CastBallot {
  readonly choice: string
  readonly motion: string
  readonly position: number
  readonly question: string
  readonly replaces: string
  readonly roll: string
}

/** 32 bytes that nobody can foresee, to sign within a minute, and the node that asks. */
export interface Challenge {
  readonly challenge: string
  readonly node: string
}

/** What operators agree to: the epoch that it ends, the policy of the next one and its members, by their ids. */
export interface Change {
  readonly epoch: number
  readonly kind: "key.rotate" | "node.add" | "node.remove" | "policy.set"
  readonly members: readonly Organisation[]
  readonly policy: Policy
}

/** Another membership of the cluster: a member more or less, new keys of one, or another policy. */
export interface ChangeMembers {
  readonly change: Change
  readonly signatures: readonly OperatorSignature[]
}

/** What a voter can pick. */
export interface Choice {
  readonly id: string
  readonly text: string
}

/** Who picked a choice. */
export interface ChoiceTotal {
  readonly choice: string
  readonly heads: number
  readonly area_cm2: number
}

/** What can be picked. */
export interface ChoiceView {
  readonly id: string
  readonly text: string
}

/** Where the cluster stands. `committed_size` is signed by a quorum, `sealed_size` by all; `rules` is the version in force for the next block. Another one may be activated when every node knows it. */
export interface ClusterState {
  readonly view: number
  readonly mode: string
  readonly quorum: number
  readonly height: number
  readonly size: number
  readonly committed_size: number
  readonly sealed_size: number
  readonly rules: number
  readonly next_rules: RulesAhead | null
  readonly nodes: readonly NodeState[]
}

/** A person as he knows himself: all three must be in this organisation's copy of the roll. */
export interface CodeAsked {
  readonly phone: string
  readonly name: string
  readonly room: string
}

/** The same answer always: if the three fit, a code is on its way. */
export interface CodeSent {
  readonly expires_ms: number
}

/** The handler says that it is done and shows it; the reporter has 72 hours to object. */
export interface CompleteTicket {
  readonly ticket: string
  readonly note: string
  readonly photos: readonly PhotoRef[]
}

/** Staff or committee say that heads were served with a motion, before its close; the first proof stands. */
export interface ConfirmDelivery {
  readonly channel: "door" | "notice" | "phone" | "post" | "sms" | "wechat"
  readonly motion: string
  readonly positions: readonly number[]
  readonly proof: readonly PhotoRef[]
  readonly roll: string
}

/** An officer of another organisation confirms that its own copy gives the same root; then the roll is in force. */
export interface ConfirmRoll {
  readonly roll: string
  readonly root: string
}

/** The reporter confirms that it is fixed. */
export interface ConfirmTicket {
  readonly ticket: string
}

/** The hashes (base64url) that show the log of size `from` to begin that of size `to` (RFC 9162 2.1.4). */
export interface Consistency {
  readonly proof: readonly string[]
}

/** A member of a head says that the ballot counted for it is not the home's: 这不是我投的. */
export interface ContestBallot {
  readonly motion: string
  readonly position: number
  readonly question: string
  readonly roll: string
  readonly words: string
}

/** A member of the committee signs that a motion that is not open yet uses a corrected roll, and why. */
export interface CorrectMotion {
  readonly motion: string
  readonly reason: string
  readonly roll: string
}

/** Owners counted both ways: heads, and the area of their exclusive parts in square centimetres. */
export interface Count {
  readonly heads?: number
  readonly area_cm2?: number
}

/** What the phone shows to staff, as a picture and as eight characters, and until when it holds. */
export interface CounterCodeGiven {
  readonly code: string
  readonly expires_ms: number
}

/** A P-256 public key as a JWK (RFC 7517), only the members that its thumbprint covers. */
export interface DeviceKey {
  readonly crv: string
  readonly kty: string
  readonly x: string
  readonly y: string
}

/** A device that signs, or signed, for the caller. */
export interface DeviceView {
  readonly kid: string
  readonly label: string
  readonly bound_ms: number
  readonly votes_from_ms: number
  readonly attested_by: readonly string[]
  readonly revoked: boolean
}

/** One change against the copy that is in use: of one owner of one home. */
export interface Difference {
  readonly change: "added" | "changed" | "removed"
  readonly room: string
  readonly name: string
  readonly fields: readonly string[]
}

/** Staff saw a person's document: the member it names, and the key that is his. */
export interface DocumentSeen {
  readonly member: string
  readonly device_key: DeviceKey
}

/** A page that the committee puts before the owners: of the budget, the contract, or what others ask. */
export interface DocumentView {
  readonly kind: string
  readonly page: number
  readonly photo: string
}

/** An epoch: its members' ids, and the first block that was its own. */
export interface EpochState {
  readonly number: number
  readonly members: readonly string[]
  readonly first_height: number
}

/** The estate, and what a phone needs to check everything itself. */
export interface EstateView {
  readonly id: string
  readonly name: string
  readonly cluster_id: string
  readonly origin: string
  readonly genesis_sha256: string
  readonly policy: string
  readonly privacy: Notice
  readonly phone: string
  readonly nodes: readonly NodeAddress[]
  readonly server_ms: number
}

/** Everything that this node knows against anybody, the first found first. `barred`: members that the log names. */
export interface EvidenceList {
  readonly evidence: readonly KnownEvidence[]
  readonly barred: readonly string[]
}

/** Staff or committee say what was done to carry out a motion that passed, with pictures. */
export interface ExecuteMotion {
  readonly motion: string
  readonly photos: readonly PhotoRef[]
  readonly question: string
  readonly state: "done" | "handed_over" | "in_progress"
  readonly text: string
}

/** A member of the committee signs that voting goes on until `close_ms`, and why: once, and before the close. */
export interface ExtendMotion {
  readonly close_ms: number
  readonly motion: string
  readonly reason: string
}

/** A fork, and the resolution that ended it with entry `index`. */
export interface Fork {
  readonly epoch: number
  readonly index: number
  readonly time_ms: number
  readonly fork_height: number
  readonly fork_size: number
  readonly kept_height: number
  readonly kept_size: number
  readonly kept_by: readonly NamedMember[]
  readonly culprits: readonly NamedMember[]
  readonly abandoned: readonly string[]
  readonly records: number
  readonly is_archived: boolean
  readonly brought_again: BroughtAgain | null
}

/** Every fork that was resolved, oldest first. */
export interface Forks {
  readonly forks: readonly Fork[]
}

/** Staff or the committee grants points for an activity, once a member. */
export interface GrantPoints {
  readonly activity: string
  readonly amount: number
  readonly member: string
  readonly programme: string
  readonly reason: string
}

/** Officers of two organisations give a member a role; the second signature makes it hold. */
export interface GrantRole {
  readonly member: string
  readonly organisation: string
  readonly role: "auditor" | "committee" | "merchant" | "staff"
}

/** A head as it is published: pseudonyms, area, and the salted leaf of its private details. */
export interface Head {
  readonly area_cm2: number
  readonly leaf: string
  readonly members: readonly string[]
}

/** The import to publish or confirm. */
export interface ImportChosen {
  readonly import_id: string
}

/** The key of the phone that stands at the counter. */
export interface KeyShown {
  readonly device_key: DeviceKey
}

/** One contradiction, or one use of a retired key. */
export interface KnownEvidence {
  readonly id: string
  readonly offence: string
  readonly member: string
  readonly member_name: string
  readonly statements: readonly SignedStatement[]
  readonly height: number
  readonly packed: string
}

/** From one epoch to the next: two tlog-proofs. */
export interface Link {
  readonly change: string
  readonly end: string
}

/** A merchant offers to take an amount of points for a code that he shows. */
export interface MakeOffer {
  readonly amount: number
  readonly code_hash: string
  readonly due_ms: number
}

/** A kind of decision, and what the law asks for: the majority, and how many days of notice. */
export interface MatterView {
  readonly rule_pack: string
  readonly id: string
  readonly name: string
  readonly majority: string
  readonly clause: string
  readonly text: string
  readonly free_choices: boolean
  readonly is_election: boolean
  readonly notice_days: number
  readonly needs_procedure: boolean
}

/** Who the members are, as genesis would spell them, and the kind of the change that waits for a seal, or empty. */
export interface MembersState {
  readonly cluster_id: string
  readonly epoch: number
  readonly members: readonly Organisation[]
  readonly policy: Policy
  readonly pending: string
  readonly epochs: readonly EpochState[]
}

/** An offer as its merchant sees it. */
export interface MerchantOffer {
  readonly offer: string
  readonly amount: number
  readonly made_ms: number
  readonly due_ms: number
  readonly state: "expired" | "open" | "redeemed" | "undone"
  readonly redeemed_ms: number
  readonly redeemed_by: string
}

/** A motion with all that its page shows. */
export interface MotionPage {
  readonly id: string
  readonly title: string
  readonly text: string
  readonly matter: string
  readonly matter_name: string
  readonly rule_pack: string
  readonly clause: string
  readonly state: "announced" | "cancelled" | "closed" | "final" | "open" | "proposed"
  readonly opens_ms: number
  readonly close_ms: number
  readonly roll: string
  readonly proposed_by: string
  readonly announced_ms: number
  readonly closed_first_ms: number
  readonly reason: string
  readonly petition: string
  readonly documents: readonly DocumentView[]
  readonly questions: readonly QuestionView[]
  readonly turnout: TurnoutView
  readonly mine: readonly MyBallot[]
  readonly result?: MotionResult | null
}

/** The results of a motion. `missing`: organisations whose signature is not there yet. `final_without`: final by time, without theirs (decisions 21). */
export interface MotionResult {
  readonly questions: readonly QuestionResult[]
  readonly grade: "closed" | "final" | "final_without"
  readonly missing: readonly string[]
  readonly index: number
}

/** A motion in a list. */
export interface MotionSummary {
  readonly id: string
  readonly title: string
  readonly matter: string
  readonly matter_name: string
  readonly state: "announced" | "cancelled" | "closed" | "final" | "open" | "proposed"
  readonly opens_ms: number
  readonly close_ms: number
  readonly turnout: TurnoutView
  readonly mine: readonly MyBallot[]
}

/** One head of the caller's and one question: the ballot that counts, by whom, and the choice if it is his own. */
export interface MyBallot {
  readonly question: string
  readonly position: number
  readonly area_cm2: number
  readonly ballot: string
  readonly choice: string
  readonly by_me: boolean
}

/** A member organisation, also one that is none any more. */
export interface NamedMember {
  readonly id: string
  readonly name: string
}

/** A member organisation and where its node is reached; empty where this node was not told. */
export interface NodeAddress {
  readonly id: string
  readonly name: string
  readonly url: string
}

/** One node as this one sees it. `size`: entries it has signed; `lag`: entries it is behind; `rules`: the highest version of the rules that its release says that it knows; 1 while nothing is heard of it. */
export interface NodeState {
  readonly id: string
  readonly name: string
  readonly url: string
  readonly reachable: boolean
  readonly size: number
  readonly lag: number
  readonly rules: number
}

/** One version of the notice in both languages. */
export interface Notice {
  readonly version: number
  readonly zh: string
  readonly en: string
}

/** An owner objects to a result as a whole, in private words that the committee reads. */
export interface ObjectToMotion {
  readonly motion: string
  readonly position: number
  readonly roll: string
  readonly words: string
}

/** An offer as the resident sees it before he pays. */
export interface OfferView {
  readonly offer: string
  readonly shop: Shop
  readonly amount: number
  readonly due_ms: number
  readonly state: "expired" | "open" | "redeemed" | "undone"
}

/** A person who signs for an organisation, known from the start. */
export interface Officer {
  readonly device_key: DeviceKey
  readonly member: string
}

/** All roles but resident, and what waits. `approvals` organisations must sign for a change to hold. */
export interface Offices {
  readonly approvals: number
  readonly held: readonly RoleHeld[]
  readonly waiting: readonly RoleChange[]
}

/** Tokens of a session: the access token for ten minutes, the refresh token once. */
export interface OpenedSession {
  readonly access_token: string
  readonly expires_ms: number
  readonly refresh_token: string
  readonly member: string
  readonly roles: readonly string[]
}

/** Ed25519 by the operator key of the member `node` over `change_message`. */
export interface OperatorSignature {
  readonly node: string
  readonly signature: string
}

/** A member of the cluster: an organisation that runs one node. */
export interface Organisation {
  readonly attest_key: string
  readonly consensus_key: string
  readonly cosign_key: string
  readonly id: string
  readonly log_key: string
  readonly name: string
  readonly officers: readonly Officer[]
  readonly operator_key?: string
  readonly transport_certificate: string
}

/** Items, and the cursor of the next page; no cursor: this was the last. */
export interface Page_AddedPersonView_ {
  readonly items: readonly AddedPersonView[]
  readonly cursor?: string
}

/** Items, and the cursor of the next page; no cursor: this was the last. */
export interface Page_DeviceView_ {
  readonly items: readonly DeviceView[]
  readonly cursor?: string
}

/** Items, and the cursor of the next page; no cursor: this was the last. */
export interface Page_MatterView_ {
  readonly items: readonly MatterView[]
  readonly cursor?: string
}

/** Items, and the cursor of the next page; no cursor: this was the last. */
export interface Page_MerchantOffer_ {
  readonly items: readonly MerchantOffer[]
  readonly cursor?: string
}

/** Items, and the cursor of the next page; no cursor: this was the last. */
export interface Page_MotionSummary_ {
  readonly items: readonly MotionSummary[]
  readonly cursor?: string
}

/** Items, and the cursor of the next page; no cursor: this was the last. */
export interface Page_PersonFound_ {
  readonly items: readonly PersonFound[]
  readonly cursor?: string
}

/** Items, and the cursor of the next page; no cursor: this was the last. */
export interface Page_RollView_ {
  readonly items: readonly RollView[]
  readonly cursor?: string
}

/** Items, and the cursor of the next page; no cursor: this was the last. */
export interface Page_ShopListed_ {
  readonly items: readonly ShopListed[]
  readonly cursor?: string
}

/** Items, and the cursor of the next page; no cursor: this was the last. */
export interface Page_TicketSummary_ {
  readonly items: readonly TicketSummary[]
  readonly cursor?: string
}

/** The record is in order, its receipt is not signed by enough organisations yet. */
export interface Pending {
  readonly id: string
  readonly state?: "pending"
}

/** A person as his document names him. The phone may be empty: then only the counter can vouch for him. */
export interface PersonAdded {
  readonly name: string
  readonly document_kind: "company_code" | "foreign_resident_card" | "hong_kong_macao_permit" | "passport" | "resident_card" | "taiwan_permit"
  readonly document_number: string
  readonly phone: string
}

/** A person of this organisation's own roll, for staff at the counter. */
export interface PersonFound {
  readonly member: string
  readonly name: string
  readonly rooms: readonly string[]
  readonly phone_tail: string
}

/** The person whose document staff have seen. */
export interface PersonSeen {
  readonly member: string
}

/** The code that came to the phone, and the key to attest. */
export interface PhoneShown {
  readonly phone: string
  readonly code: string
  readonly device_key: DeviceKey
}

/** A photo named by a record: the cleaned picture's hash and size, and the original file's hash. */
export interface PhotoRef {
  readonly original_sha256: string
  readonly sha256: string
  readonly size: number
}

/** A wallet; entries newest first. */
export interface PointsAccount {
  readonly balance: number
  readonly entries: readonly PointsEntry[]
  readonly cursor?: string
}

/** A movement as the wallet's owner sees it: positive came in, negative went out. */
export interface PointsEntry {
  readonly record: string
  readonly kind: string
  readonly amount: number
  readonly at_ms: number
  readonly counterpart: string
  readonly shop: string
  readonly reason: string
}

/** Numbers that genesis fixes. */
export interface Policy {
  readonly approvals: number
  readonly attestations: number
  readonly final_without_ms: number
  readonly new_key_vote_delay_ms: number
}

/** A signed record and the openings of its private fields. */
export interface PostedRecord {
  readonly record: string
  readonly openings?: readonly string[]
}

/** What a roster says, before anything is applied. `total_area` in square metres with two decimals. */
export interface Preview {
  readonly import_id: string
  readonly root: string
  readonly good_lines: number
  readonly duplicate_lines: number
  readonly bad_lines: readonly BadLine[]
  readonly notices: readonly BadLine[]
  readonly homes: number
  readonly owners: number
  readonly heads: number
  readonly total_area: string
  readonly difference: Readonly<Record<string, number>>
  readonly differences: readonly Difference[]
}

/** RFC 9457, with our `code` and what belongs to it. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly field?: string
  readonly id?: string
  readonly ordered?: boolean | null
  readonly receipt?: string
  readonly first_receipt?: string
  readonly retry_after_s?: number
}

/** What the rules of procedure say. There is no default: an estate without them cannot hold a vote. */
export interface Procedure {
  readonly electronic: boolean
  readonly garages: "count" | "left_out"
  readonly objection_days: number
  readonly proxies_max: number
  readonly silence: "absent" | "follows" | "participates"
}

/** The estate's rules of procedure; `rules` is absent while none are in force. `decisions` wait for signatures. */
export interface ProcedureView {
  readonly name: string
  readonly since_ms: number
  readonly record: string
  readonly rules?: Procedure | null
}

/** The handler, or other staff, says how it goes. */
export interface ProgressTicket {
  readonly ticket: string
  readonly note: string
  readonly photos: readonly PhotoRef[]
}

/** A member of the committee proposes questions to the owners of a roll. It is the first of the signatures. */
export interface ProposeMotion {
  readonly budget: readonly PhotoRef[]
  readonly close_ms: number
  readonly contract: readonly PhotoRef[]
  readonly matter: string
  readonly opens_ms: number
  readonly petition: string
  readonly questions: readonly Question[]
  readonly quotes: readonly PhotoRef[]
  readonly roll: string
  readonly rule_pack: string
  readonly text: string
  readonly title: string
}

/** A session proof (DESIGN.md 2.6): JWS of the device over challenge, cluster and node. */
export interface Proven {
  readonly proof: string
}

/** An officer publishes one part of a roll; parts come in order, the last one must complete the root. */
export interface PublishRoll {
  readonly heads: readonly Head[]
  readonly part: number
  readonly parts: number
  readonly position: number
  readonly roll: string
  readonly root: string
}

/** One question of a motion; each is counted by itself. */
export interface Question {
  readonly choices: readonly Choice[]
  readonly id: string
  readonly seats: number
  readonly text: string
}

/** The result of a question; a missed quorum is told apart from a missed majority. */
export interface QuestionResult {
  readonly question: string
  readonly choices: readonly ChoiceTotal[]
  readonly result: string
  readonly chosen: string
  readonly quorum: boolean
  readonly majority: boolean
  readonly passed: boolean
  readonly clause: string
  readonly majority_rule: string
  readonly electorate: Count
  readonly participating: Count
  readonly void: Count
}

/** A question with its choices and its own turnout. `seats`: of an election, how many may be picked; else 0. */
export interface QuestionView {
  readonly id: string
  readonly text: string
  readonly seats: number
  readonly choices: readonly ChoiceView[]
  readonly heads: number
  readonly area_cm2: number
}

/** Can the node serve? `reason` says why not. */
export interface Readiness {
  readonly ready: boolean
  readonly reason: string
}

/** Where a record stands. `never_ordered`: under the checkpoint shown it is not, and can no longer be. */
export interface RecordState {
  readonly id: string
  readonly state: "never_ordered" | "ordered" | "pending" | "unknown" | "waiting"
  readonly outcome?: string
  readonly index?: number
  readonly receipt?: string
  readonly checkpoint?: string
}

/** A resident pays a merchant's offer with points. */
export interface RedeemPoints {
  readonly amount: number
  readonly offer: string
  readonly shop: string
}

/** The newest refresh token of a session. */
export interface Refreshed {
  readonly refresh_token: string
}

/** The reporter says that it is not fixed; the ticket waits to be assigned again. */
export interface ReopenTicket {
  readonly ticket: string
  readonly note: string
  readonly photos: readonly PhotoRef[]
}

/** A member reports something: a category, photos, and in private what and where it is. */
export interface ReportTicket {
  readonly category: string
  readonly contact: string
  readonly home: boolean
  readonly photos: readonly PhotoRef[]
  readonly place: string
  readonly text: string
}

/** What became of one abandoned record. `ordered`: it stands in the log, with this outcome; else `outcome` is why it cannot be ordered any more. */
export interface Resubmitted {
  readonly id: string
  readonly kind: string
  readonly state: "not_ordered" | "ordered"
  readonly outcome: string
}

/** A member ends a device of his own: a lost phone, an old tablet. */
export interface RevokeDevice {
  readonly revoked: string
}

/** Officers of two organisations take a role back. */
export interface RevokeRole {
  readonly member: string
  readonly organisation: string
  readonly role: "auditor" | "committee" | "merchant" | "staff"
}

/** A grant or revocation that lacks signatures; `approved_by` are the organisations whose officers signed. */
export interface RoleChange {
  readonly change: "grant" | "revoke"
  readonly member: string
  readonly name: string
  readonly role: string
  readonly organisation: string
  readonly approved_by: readonly string[]
}

/** A member's role for an organisation. `name` is empty where this organisation does not know him. */
export interface RoleHeld {
  readonly member: string
  readonly name: string
  readonly role: string
  readonly organisation: string
  readonly devices: number
}

/** Where the rolls stand for one organisation: the one in force, what waits, and which copy it uses itself. */
export interface RollStanding {
  readonly approvals: number
  readonly waiting: readonly RollWaiting[]
  readonly in_use: string
  readonly staged: string
  readonly in_force?: RollView | null
}

/** A roll that a motion may be opened on; `area_cm2` of all its heads together. */
export interface RollView {
  readonly id: string
  readonly heads: number
  readonly area_cm2: number
  readonly published_ms: number
}

/** A roll that is not in force yet: how far it is published, and who has signed that its own copy is the same. */
export interface RollWaiting {
  readonly id: string
  readonly root: string
  readonly heads: number
  readonly area_cm2: number
  readonly parts: number
  readonly parts_published: number
  readonly confirmed_by: readonly string[]
  readonly published_ms: number
}

/** A version of the rules that officers have had begin at block `height`. */
export interface RulesAhead {
  readonly version: number
  readonly height: number
}

/** Staff's answer: whom the phone is now tied to, by this organisation's word. */
export interface SeenAtCounter {
  readonly member: string
  readonly kid: string
}

/** Who the caller is, and the server's time, by which a phone corrects its own. */
export interface SessionInfo {
  readonly member: string
  readonly name: string
  readonly roles: readonly string[]
  readonly units: readonly Unit[]
  readonly kid: string
  readonly verified: boolean
  readonly server_ms: number
}

/** A merchant, as the organisation that was asked names him; empty where it has not named him. */
export interface Shop {
  readonly id: string
  readonly name: string
}

/** A merchant as an officer sees him; `keeper` is empty where this organisation's copy does not know the person. */
export interface ShopListed {
  readonly id: string
  readonly name: string
  readonly keeper: string
}

/** A merchant and the name of his shop. */
export interface ShopNamed {
  readonly shop: string
  readonly name: string
}

/** An owner signs a petition for his head; with a fifth of all heads the committee's clock starts. */
export interface SignPetition {
  readonly petition: string
  readonly position: number
  readonly roll: string
}

/** How far the committee is with a motion: `needed` signatures of `members` announce it, or take a decision. */
export interface Signatures {
  readonly members: number
  readonly needed: number
  readonly approved_by: readonly string[]
  readonly approved_by_me: boolean
  readonly petition: string
  readonly decisions: readonly WaitingDecision[]
}

/** What a member signed: type, text (canonical JSON), and signature in base64url. */
export interface SignedStatement {
  readonly type: string
  readonly text: string
  readonly signature: string
}

/** An owner asks for a vote. His own signature is a record of its own. */
export interface StartPetition {
  readonly position: number
  readonly roll: string
  readonly text: string
  readonly title: string
}

/** Links from genesis to the members in force, oldest first; none while they are those of genesis. */
export interface Succession {
  readonly links: readonly Link[]
}

/** What the checkpoints prove: ids of the evidence, one a member. */
export interface TakenEvidence {
  readonly ids: readonly string[]
}

/** A ticket with its history, and what the caller may do now. */
export interface TicketPage {
  readonly id: string
  readonly category: string
  readonly state: string
  readonly home: boolean
  readonly place: string
  readonly text: string
  readonly contact: string
  readonly reporter: string
  readonly handler: string
  readonly organisation: string
  readonly at_ms: number
  readonly changed_ms: number
  readonly reopened: number
  readonly photos: readonly string[]
  readonly history: readonly TicketStep[]
  readonly may: readonly ("assign" | "complete" | "confirm" | "progress" | "reopen")[]
}

/** One thing that happened to a ticket. `by` is a pseudonym, empty for what time did. */
export interface TicketStep {
  readonly record: string
  readonly kind: string
  readonly state: string
  readonly at_ms: number
  readonly by: string
  readonly note: string
  readonly photos: readonly string[]
}

/** A ticket in a list. */
export interface TicketSummary {
  readonly id: string
  readonly category: string
  readonly state: string
  readonly place: string
  readonly home: boolean
  readonly at_ms: number
  readonly changed_ms: number
  readonly reopened: number
}

/** Who took part so far, of the electorate, and what is missing to two thirds of both. */
export interface TurnoutView {
  readonly heads: number
  readonly area_cm2: number
  readonly heads_total: number
  readonly area_total_cm2: number
  readonly heads_missing: number
  readonly area_missing_cm2: number
}

/** The merchant returns the points of a redemption within ten minutes: a wrong amount, a wrong customer. */
export interface UndoRedemption {
  readonly member: string
  readonly offer: string
}

/** A home of the member's, as this organisation's own copy of the roll names it. */
export interface Unit {
  readonly id: string
  readonly label: string
  readonly area_cm2: number
}

/** A confirmation that the officer's device completes to a record and signs. */
export interface UnsignedConfirmation {
  readonly kind: "roll.confirm"
  readonly body: ConfirmRoll
}

/** A part of a roll that the officer's device completes to a record and signs. */
export interface UnsignedPart {
  readonly kind: "roll.publish"
  readonly body: PublishRoll
}

/** What is to be signed, in this order; nothing when the ledger has everything already. */
export interface UnsignedRecords {
  readonly roll: string
  readonly root: string
  readonly state: "confirm" | "confirmed" | "in_force" | "publish"
  readonly records: readonly (UnsignedPart | UnsignedConfirmation)[]
}

/** A cleaned picture: what a record names, and where the phone finds the small one to show before signing. */
export interface UploadedPhoto {
  readonly sha256: string
  readonly original_sha256: string
  readonly width: number
  readonly height: number
  readonly size: number
  readonly thumbnail: string
}

/** What became of a code; `attested` once staff have named the person. */
export interface Waiting {
  readonly kid: string
  readonly attested?: Attested | null
}

/** Words that some of the committee have signed: who signs the same `content` as a record of `kind` agrees. */
export interface WaitingDecision {
  readonly kind: string
  readonly content: Readonly<Record<string, unknown>>
  readonly signed_by: readonly string[]
  readonly signed_by_me: boolean
}

/** WeChat's login code and phone-number code, and the key to attest. */
export interface WechatShown {
  readonly login_code: string
  readonly phone_code: string
  readonly device_key: DeviceKey
}

/** A head's signature is taken back, by whoever of the head gave it, while the petition has not reached a fifth. */
export interface WithdrawSignature {
  readonly petition: string
  readonly position: number
  readonly roll: string
}

/** The body of each kind of record. */
export interface RecordBodies {
  readonly "ballot.cast": CastBallot
  readonly "ballot.contest": ContestBallot
  readonly "delivery.confirm": ConfirmDelivery
  readonly "device.bind": BindDevice
  readonly "device.revoke": RevokeDevice
  readonly "members.change": ChangeMembers
  readonly "motion.approve": ApproveMotion
  readonly "motion.cancel": CancelMotion
  readonly "motion.correct": CorrectMotion
  readonly "motion.execute": ExecuteMotion
  readonly "motion.extend": ExtendMotion
  readonly "motion.object": ObjectToMotion
  readonly "motion.propose": ProposeMotion
  readonly "objection.answer": AnswerObjection
  readonly "offer.make": MakeOffer
  readonly "petition.sign": SignPetition
  readonly "petition.start": StartPetition
  readonly "petition.withdraw": WithdrawSignature
  readonly "points.grant": GrantPoints
  readonly "points.redeem": RedeemPoints
  readonly "procedure.adopt": AdoptProcedure
  readonly "redemption.undo": UndoRedemption
  readonly "role.grant": GrantRole
  readonly "role.revoke": RevokeRole
  readonly "roll.confirm": ConfirmRoll
  readonly "roll.publish": PublishRoll
  readonly "rules.activate": ActivateRules
  readonly "ticket.assign": AssignTicket
  readonly "ticket.complete": CompleteTicket
  readonly "ticket.confirm": ConfirmTicket
  readonly "ticket.progress": ProgressTicket
  readonly "ticket.reopen": ReopenTicket
  readonly "ticket.report": ReportTicket
}

export type RecordKind = keyof RecordBodies

/** What each kind can be refused with, first one first. */
export interface RecordRefusals {
  readonly "ballot.cast": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "motion_not_found" | "motion_not_open" | "motion_closed" | "question_not_found" | "roll_differs" | "not_on_roll" | "device_not_verified" | "device_too_new" | "ballot_already_cast" | "replaced_ballot_not_found" | "commitment_already_used"
  readonly "ballot.contest": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "motion_not_found" | "objections_over" | "roll_differs" | "not_on_roll" | "ballot_not_found" | "own_ballot" | "already_contested"
  readonly "delivery.confirm": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "motion_not_found" | "motion_not_announced" | "roll_differs" | "not_on_roll" | "proof_missing" | "photo_of_another"
  readonly "device.bind": "nonce_conflict" | "expired" | "not_yet_valid" | "device_revoked" | "key_of_another" | "attestation_invalid" | "attestation_expired" | "too_many_devices"
  readonly "device.revoke": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "device_not_found" | "already_revoked"
  readonly "members.change": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "no_operators" | "change_malformed" | "change_pending" | "epoch_passed" | "not_one_step" | "policy_too_few" | "id_used" | "key_used" | "signatures" | "officer_known"
  readonly "motion.approve": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "motion_not_found" | "motion_differs" | "not_proposed" | "already_signed" | "notice_too_short" | "roll_not_in_force"
  readonly "motion.cancel": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "motion_not_found" | "motion_closed" | "already_signed"
  readonly "motion.correct": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "motion_not_found" | "motion_already_open" | "roll_not_found" | "roll_not_in_force" | "already_signed"
  readonly "motion.execute": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "motion_not_found" | "not_binding" | "not_final" | "not_passed" | "execution_over" | "photo_of_another"
  readonly "motion.extend": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "motion_not_found" | "motion_closed" | "already_extended" | "closes_too_soon" | "already_signed"
  readonly "motion.object": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "motion_not_found" | "objections_over" | "roll_differs" | "not_on_roll"
  readonly "motion.propose": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "roll_not_found" | "matter_not_found" | "procedure_missing" | "petition_not_found" | "closes_too_soon" | "questions_malformed" | "photo_of_another" | "notice_too_short" | "roll_not_in_force"
  readonly "objection.answer": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "objection_not_found" | "already_answered" | "already_signed"
  readonly "offer.make": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "offer_too_long" | "offer_expired" | "offer_exists"
  readonly "petition.sign": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "petition_not_found" | "petition_closed" | "roll_differs" | "not_on_roll" | "already_signed"
  readonly "petition.start": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "roll_not_found" | "roll_not_in_force" | "not_on_roll"
  readonly "petition.withdraw": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "petition_not_found" | "roll_differs" | "not_signed" | "petition_closed"
  readonly "points.grant": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "self_grant" | "already_granted" | "member_not_found" | "over_grant_cap"
  readonly "points.redeem": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "offer_not_found" | "offer_expired" | "offer_already_redeemed" | "amount_differs" | "self_redemption" | "balance_too_low"
  readonly "procedure.adopt": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "already_signed" | "photo_of_another"
  readonly "redemption.undo": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "offer_not_found" | "not_your_offer" | "not_redeemed" | "already_undone" | "undo_too_late" | "member_differs" | "balance_too_low"
  readonly "role.grant": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "organisation_unknown" | "role_already_held" | "already_approved"
  readonly "role.revoke": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "role_not_held" | "already_approved"
  readonly "roll.confirm": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "roll_not_found" | "roll_differs" | "already_approved"
  readonly "roll.publish": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "roll_part_out_of_order" | "roll_differs"
  readonly "rules.activate": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "activation_pending" | "rules_not_next" | "height_out_of_bounds" | "already_approved"
  readonly "ticket.assign": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "ticket_not_found" | "ticket_state_differs" | "handler_not_staff"
  readonly "ticket.complete": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "ticket_not_found" | "not_handler" | "ticket_state_differs" | "photo_missing"
  readonly "ticket.confirm": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "ticket_not_found" | "not_yours" | "handler_cannot_confirm" | "ticket_state_differs"
  readonly "ticket.progress": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "ticket_not_found" | "not_handler" | "ticket_state_differs"
  readonly "ticket.reopen": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "ticket_not_found" | "not_yours" | "ticket_state_differs"
  readonly "ticket.report": "nonce_conflict" | "expired" | "not_yet_valid" | "device_unknown" | "device_revoked" | "role_missing" | "category_unknown"
}

export type Refusal = RecordRefusals[RecordKind]

/** What the private texts of a record may hold, by kind and field. */
export const PRIVATE_TEXTS = {
  "ballot.contest": {
    "words": "^[^\\u0000-\\u0009\\u000b-\\u001f\\u007f]{1,500}$"
  },
  "motion.object": {
    "words": "^[^\\u0000-\\u0009\\u000b-\\u001f\\u007f]{1,500}$"
  },
  "ticket.complete": {
    "note": "^[^\\u0000-\\u0009\\u000b-\\u001f\\u007f]{0,1000}$"
  },
  "ticket.progress": {
    "note": "^[^\\u0000-\\u0009\\u000b-\\u001f\\u007f]{0,1000}$"
  },
  "ticket.reopen": {
    "note": "^[^\\u0000-\\u0009\\u000b-\\u001f\\u007f]{0,1000}$"
  },
  "ticket.report": {
    "contact": "^[^\\u0000-\\u001f\\u007f\\u2028\\u2029]{0,100}$",
    "place": "^[^\\u0000-\\u001f\\u007f\\u2028\\u2029]{0,100}$",
    "text": "^[^\\u0000-\\u0009\\u000b-\\u001f\\u007f]{0,1000}$"
  }
} as const

/** Every code of a problem. */
export type Code =
  | "activation_pending"
  | "already_answered"
  | "already_approved"
  | "already_contested"
  | "already_extended"
  | "already_granted"
  | "already_revoked"
  | "already_signed"
  | "already_undone"
  | "amount_differs"
  | "attachment_missing"
  | "attestation_expired"
  | "attestation_invalid"
  | "balance_too_low"
  | "ballot_already_cast"
  | "ballot_not_found"
  | "behind"
  | "body_too_large"
  | "cache_down"
  | "category_unknown"
  | "challenge_unknown"
  | "change_malformed"
  | "change_pending"
  | "closes_too_soon"
  | "commitment_already_used"
  | "counter_code_unknown"
  | "counter_code_used"
  | "device_ended"
  | "device_not_found"
  | "device_not_verified"
  | "device_revoked"
  | "device_too_new"
  | "device_unbound"
  | "device_unknown"
  | "device_unverified"
  | "epoch_passed"
  | "evidence_mismatch"
  | "evidence_void"
  | "execution_over"
  | "expired"
  | "handler_cannot_confirm"
  | "handler_not_staff"
  | "headers_too_large"
  | "height_out_of_bounds"
  | "id_used"
  | "import_unknown"
  | "internal_error"
  | "key_of_another"
  | "key_used"
  | "malformed"
  | "matter_not_found"
  | "media_type_unsupported"
  | "member_differs"
  | "member_not_found"
  | "method_not_allowed"
  | "motion_already_open"
  | "motion_closed"
  | "motion_differs"
  | "motion_not_announced"
  | "motion_not_found"
  | "motion_not_open"
  | "motion_unknown"
  | "no_operators"
  | "no_quorum"
  | "node_stopped"
  | "nonce_conflict"
  | "not_binding"
  | "not_final"
  | "not_found"
  | "not_handler"
  | "not_on_roll"
  | "not_one_step"
  | "not_passed"
  | "not_proposed"
  | "not_redeemed"
  | "not_signed"
  | "not_yet_valid"
  | "not_your_offer"
  | "not_yours"
  | "notice_too_short"
  | "notice_unknown"
  | "objection_not_found"
  | "objections_over"
  | "offer_already_redeemed"
  | "offer_exists"
  | "offer_expired"
  | "offer_not_found"
  | "offer_too_long"
  | "offer_unknown"
  | "officer_known"
  | "organisation_unknown"
  | "over_grant_cap"
  | "own_ballot"
  | "person_details_bad"
  | "person_has_role"
  | "person_owns"
  | "person_unknown"
  | "petition_closed"
  | "petition_not_found"
  | "phone_codes_off"
  | "photo_damaged"
  | "photo_missing"
  | "photo_not_readable"
  | "photo_of_another"
  | "photo_quota"
  | "photo_too_large"
  | "photo_unknown"
  | "policy_too_few"
  | "procedure_missing"
  | "proof_invalid"
  | "proof_missing"
  | "question_not_found"
  | "questions_malformed"
  | "receipt_not_ready"
  | "record_not_found"
  | "replaced_ballot_not_found"
  | "role_already_held"
  | "role_missing"
  | "role_needed"
  | "role_not_held"
  | "roll_differs"
  | "roll_in_progress"
  | "roll_not_found"
  | "roll_not_in_force"
  | "roll_part_out_of_order"
  | "roster_has_bad_lines"
  | "roster_too_large"
  | "roster_unreadable"
  | "rules_not_next"
  | "rules_unsupported"
  | "self_attestation"
  | "self_grant"
  | "self_redemption"
  | "session_expired"
  | "session_invalid"
  | "session_missing"
  | "signature_invalid"
  | "signatures"
  | "ticket_not_found"
  | "ticket_state_differs"
  | "ticket_unknown"
  | "tile_unknown"
  | "too_many"
  | "too_many_devices"
  | "too_slow"
  | "tries_used_up"
  | "undo_too_late"
  | "wechat_blocked"
  | "wechat_code_invalid"
  | "wechat_limited"
  | "wechat_off"
  | "wechat_phone_unknown"
  | "wechat_unavailable"

/** Every endpoint: what it takes and what it answers when all is well. */
export interface Endpoints {
  readonly "POST /api/v1/records": { body: PostedRecord; answer: Accepted }
  readonly "GET /api/v1/records/{id}": { path: { id: string }; query: { expires_ms?: number | null }; answer: RecordState }
  readonly "GET /api/v1/records/{id}/receipt": { path: { id: string }; answer: string }
  readonly "POST /api/v1/session/challenge": { answer: Challenge }
  readonly "POST /api/v1/session": { body: Proven; answer: OpenedSession }
  readonly "GET /api/v1/session": { answer: SessionInfo }
  readonly "DELETE /api/v1/session": { answer: undefined }
  readonly "POST /api/v1/session/refresh": { body: Refreshed; answer: OpenedSession }
  readonly "GET /api/v1/devices": { answer: Page_DeviceView_ }
  readonly "GET /api/v1/estate": { answer: EstateView }
  readonly "GET /api/v1/privacy/{version}": { path: { version: number }; answer: Notice }
  readonly "POST /api/v1/identity/phone-code": { body: CodeAsked; answer: CodeSent }
  readonly "POST /api/v1/identity/phone-attestation": { body: PhoneShown; answer: Attested }
  readonly "POST /api/v1/identity/wechat-attestation": { body: WechatShown; answer: Attested }
  readonly "POST /api/v1/identity/document-attestation": { body: DocumentSeen; answer: Attested }
  readonly "POST /api/v1/identity/counter": { body: KeyShown; answer: CounterCodeGiven }
  readonly "GET /api/v1/identity/counter/{code}": { path: { code: string }; answer: Waiting }
  readonly "POST /api/v1/identity/counter/{code}": { path: { code: string }; body: PersonSeen; answer: SeenAtCounter }
  readonly "GET /api/v1/people": { query: { query: string; limit?: number }; answer: Page_PersonFound_ }
  readonly "GET /api/v1/people/added": { answer: Page_AddedPersonView_ }
  readonly "POST /api/v1/people/added": { body: PersonAdded; answer: PersonFound }
  readonly "DELETE /api/v1/people/added/{member}": { path: { member: string }; answer: undefined }
  readonly "GET /api/v1/roles": { answer: Offices }
  readonly "GET /api/v1/roll/standing": { answer: RollStanding }
  readonly "GET /api/v1/rolls": { answer: Page_RollView_ }
  readonly "POST /api/v1/roll/preview": { query: { leave_out?: number }; answer: Preview }
  readonly "POST /api/v1/roll/apply": { body: ImportChosen; answer: UnsignedRecords }
  readonly "GET /api/v1/matters": { answer: Page_MatterView_ }
  readonly "GET /api/v1/motions": { query: { cursor?: string; limit?: number }; answer: Page_MotionSummary_ }
  readonly "GET /api/v1/motions/{id}": { path: { id: string }; answer: MotionPage }
  readonly "GET /api/v1/motions/{id}/committee": { path: { id: string }; answer: Signatures }
  readonly "GET /api/v1/procedure": { answer: ProcedureView }
  readonly "GET /api/v1/procedure/committee": { answer: Signatures }
  readonly "GET /api/v1/tickets": { query: { cursor?: string; limit?: number; state?: string; mine?: boolean }; answer: Page_TicketSummary_ }
  readonly "GET /api/v1/tickets/{id}": { path: { id: string }; answer: TicketPage }
  readonly "POST /api/v1/photos": { answer: UploadedPhoto }
  readonly "GET /api/v1/photos/{sha256}": { path: { sha256: string }; query: { size?: "full" | "thumbnail" }; answer: string }
  readonly "GET /api/v1/points/account": { query: { cursor?: string; limit?: number }; answer: PointsAccount }
  readonly "GET /api/v1/merchant/account": { query: { cursor?: string; limit?: number }; answer: PointsAccount }
  readonly "GET /api/v1/offers/{code}": { path: { code: string }; answer: OfferView }
  readonly "POST /api/v1/offers/alias": { body: AliasAsked; answer: Alias }
  readonly "GET /api/v1/merchant/offers": { query: { cursor?: string; limit?: number }; answer: Page_MerchantOffer_ }
  readonly "GET /api/v1/merchant/shop": { answer: Shop }
  readonly "GET /api/v1/shops": { query: { cursor?: string; limit?: number }; answer: Page_ShopListed_ }
  readonly "POST /api/v1/shops": { body: ShopNamed; answer: Shop }
  readonly "GET /checkpoint": { answer: string }
  readonly "GET /checkpoint/witnessed": { answer: string }
  readonly "GET /genesis.json": { answer: string }
  readonly "GET /policy.txt": { answer: string }
  readonly "GET /succession.json": { answer: Succession }
  readonly "GET /api/v1/consistency": { query: { from: number; to: number }; answer: Consistency }
  readonly "GET /api/v1/log": { query: { begin?: number; end?: number }; answer: string }
  readonly "GET /tile/entries/{place}": { path: { place: string }; answer: string }
  readonly "GET /tile/{level}/{place}": { path: { level: number; place: string }; answer: string }
  readonly "GET /api/v1/evidence": { answer: EvidenceList }
  readonly "POST /api/v1/evidence": { body: BroughtEvidence; answer: TakenEvidence }
  readonly "GET /api/v1/forks": { answer: Forks }
  readonly "GET /api/v1/forks/{epoch}/{file}": { path: { epoch: number; file: "blocks.jsonl" | "checkpoint" | "entries.jsonl" | "genesis.json" | "policy.txt" | "succession.json" }; answer: string }
  readonly "GET /api/v1/cluster": { answer: ClusterState }
  readonly "GET /api/v1/members": { answer: MembersState }
  readonly "GET /healthz": { answer: Alive }
  readonly "GET /readyz": { answer: Readiness }
  readonly "GET /metrics": { answer: string }
  readonly "GET /api/v1/events": { answer: string }
  readonly "GET /api/openapi.json": { answer: string }
  readonly "GET /api/docs": { answer: string }
}
