"""What a record does: one file a noun, each rule in the class of its record kind. Pure: rows in, rows out.

`KINDS`, `DERIVED`, `FINALS` and `ROWS` are the one list of everything; parsers, schemas, tables and clients follow.
`RULEBOOK` says which of them belong to which version of the rules: what a released version means never changes again.
"""

from server.domain.activation import ActivateRules, RulesApproval, RulesPlan
from server.domain.agenda import Seal, Sealed, SealWait, Timer
from server.domain.ballot import Ballot, BallotCommitment, CastBallot
from server.domain.delivery import ConfirmDelivery, Delivery
from server.domain.evidence import Barred, OrderEvidence
from server.domain.execution import ExecuteMotion, Execution, ExecutionStep
from server.domain.member import Approval, BindDevice, Device, GrantRole, Member, Nonce, RevokeDevice, RevokeRole
from server.domain.membership import BeginEpoch, ChangeMembers, EpochBegun, EpochInForce
from server.domain.motion import Motion, Turnout
from server.domain.motion_change import CancelMotion, CorrectMotion, ExtendMotion
from server.domain.objection import AnswerObjection, ContestBallot, ContestedBallot, Objection, ObjectToMotion
from server.domain.offer import MakeOffer, Offer, RedeemPoints, UndoRedemption
from server.domain.office import Decision, Office
from server.domain.opening import OpenMotion
from server.domain.petition import (
    CallPetitionOverdue,
    Petition,
    PetitionSignature,
    SignPetition,
    StartPetition,
    WithdrawSignature,
)
from server.domain.photo import Document, PhotoOwner
from server.domain.points import Account, Grant, GrantPoints, Transfer
from server.domain.procedure import AdoptProcedure, ProcedureInForce
from server.domain.proposal import ApproveMotion, ProposeMotion
from server.domain.resolution import ForkResolved, ResolveFork
from server.domain.retirement import OrderRetiredKey, RetiredKey
from server.domain.roll import ConfirmRoll, PublishRoll, Roll, RollHead
from server.domain.rules import Rulebook, Rules
from server.domain.state_root import TellStateRoot
from server.domain.tally import FinalizeMotion, FinalizeWithout, TallyMotion, TallyResult
from server.domain.ticket import ReportTicket, Ticket, TicketEvent, TicketPhoto
from server.domain.ticket_step import (
    AssignTicket,
    CompleteTicket,
    ConfirmTicket,
    ConfirmTicketByTime,
    ProgressTicket,
    ReopenTicket,
)
from server.record.kind import DerivedKind, RecordKind
from server.record.rows import Row

_KINDS: tuple[type[RecordKind], ...] = (
    BindDevice, RevokeDevice, GrantRole, RevokeRole, PublishRoll, ConfirmRoll,
    AdoptProcedure, StartPetition, SignPetition, WithdrawSignature,
    ProposeMotion, ApproveMotion, CorrectMotion, ExtendMotion, CancelMotion, ConfirmDelivery, CastBallot,
    ContestBallot, ObjectToMotion, AnswerObjection, ExecuteMotion,
    ReportTicket, AssignTicket, ProgressTicket, CompleteTicket, ConfirmTicket, ReopenTicket,
    GrantPoints, MakeOffer, RedeemPoints, UndoRedemption,
    ActivateRules,
    ChangeMembers,
)  # fmt: skip
KINDS = {kind.kind: kind for kind in _KINDS}
"""Record kinds by name."""

_DERIVED: tuple[type[DerivedKind], ...] = (
    ResolveFork, OrderEvidence, OrderRetiredKey, Seal, TellStateRoot, FinalizeWithout,
    OpenMotion, TallyMotion, CallPetitionOverdue, ConfirmTicketByTime,
)  # fmt: skip
DERIVED = {kind.kind: kind for kind in _DERIVED}
"""Kinds of derived entries that stand in the log."""

_FINALS: tuple[type[DerivedKind], ...] = (FinalizeMotion, BeginEpoch)
FINALS = {kind.kind: kind for kind in _FINALS}
"""What happens to rows that waited for a seal; part of the seal's entry."""

_ROWS: tuple[type[Row], ...] = (
    Approval, Barred, Decision, Device, Member, Nonce, Office, RetiredKey, Roll, RollHead, Sealed, SealWait, Timer,
    ProcedureInForce, Petition, PetitionSignature,
    Motion, Turnout, Delivery, Ballot, BallotCommitment, TallyResult,
    Objection, ContestedBallot, Execution, ExecutionStep,
    Ticket, TicketEvent, TicketPhoto, Document, PhotoOwner,
    Account, Transfer, Grant, Offer,
    RulesApproval, RulesPlan,
    EpochBegun, EpochInForce, ForkResolved,
)  # fmt: skip
ROWS = {row.table: row for row in _ROWS}
"""Row shapes by table."""

RULEBOOK = Rulebook((Rules(1, KINDS, DERIVED, FINALS),))
"""Every version of the rules that this release knows. A new one is added at the end; the others stay as they are."""
