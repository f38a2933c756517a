"""Offers: a merchant's one-time code for an amount, redeemed by a resident's own signature, undone within minutes.

The ledger holds only the code's SHA-256 (decisions 17). A debit is always signed by the device of who pays.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from server.domain.points import MEMBER, MERCHANT, Account, Transfer, read_account, transfer
from server.limits import SECOND_MS
from server.record.kind import Context, RecordKind, Role, Signed
from server.record.rows import Key, Row, Rows, key
from server.record.shape import Digest, MemberId, Points, TimeMs

OFFER_LIFE_MS_MAX = 15 * 60 * SECOND_MS
"""A code shown at the counter; a longer life would make photographs of it useful."""
UNDO_MS_MAX = 10 * 60 * SECOND_MS
"""How long after the redemption a merchant may undo it (inclusive); later it is a matter of the settlement."""

OPEN, REDEEMED, UNDONE = "open", "redeemed", "undone"
TRANSITIONS: Mapping[str, Mapping[str, str]] = {
    OPEN: {"points.redeem": REDEEMED},
    REDEEMED: {"redemption.undo": UNDONE},
    UNDONE: {},
}
"""The states of an offer: a code is used once; after an undo the merchant shows a new one."""


class Offer(Row, frozen=True):
    """A one-time code: its id is the code's SHA-256. `redeemed_by` is empty while it is open."""

    table: ClassVar[str] = "offer"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("shop", "made_ms"), ("state", "made_ms"))
    shop: str
    amount: int
    due_ms: int
    made_ms: int
    state: str = OPEN
    redeemed_by: str = ""
    redeemed_ms: int = 0
    redemption: str = ""
    """The record that redeemed it."""
    undo: str = ""
    """The record that undid the redemption."""


class MakeOffer(RecordKind, frozen=True):
    """A merchant offers to take an amount of points for a code that he shows."""

    kind: ClassVar[str] = "offer.make"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.MERCHANT})

    class Refusal(enum.Enum):
        """In order of precedence."""

        OFFER_TOO_LONG = "offer_too_long"
        OFFER_EXPIRED = "offer_expired"
        OFFER_EXISTS = "offer_exists"

    permanent: ClassVar[frozenset[str]] = frozenset({"offer_expired", "offer_exists"})

    amount: Points
    code_hash: Digest
    due_ms: TimeMs

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The offer."""
        return (key(Offer, self.code_hash),)

    def execute(self, rows: Rows, context: Context) -> MakeOffer.Refusal | None:
        """Decisions 17."""
        if self.due_ms > context.time_ms + OFFER_LIFE_MS_MAX:
            return self.Refusal.OFFER_TOO_LONG
        if self.due_ms <= context.time_ms:
            return self.Refusal.OFFER_EXPIRED
        if rows.get(Offer, self.code_hash) is not None:
            return self.Refusal.OFFER_EXISTS
        rows.put(Offer(self.code_hash, context.author, self.amount, self.due_ms, context.time_ms))
        return None


class RedeemPoints(RecordKind, frozen=True):
    """A resident pays a merchant's offer with points."""

    kind: ClassVar[str] = "points.redeem"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.RESIDENT})

    class Refusal(enum.Enum):
        """In order of precedence."""

        OFFER_NOT_FOUND = "offer_not_found"
        OFFER_EXPIRED = "offer_expired"
        OFFER_ALREADY_REDEEMED = "offer_already_redeemed"
        AMOUNT_DIFFERS = "amount_differs"
        SELF_REDEMPTION = "self_redemption"
        BALANCE_TOO_LOW = "balance_too_low"

    permanent: ClassVar[frozenset[str]] = frozenset(
        {"offer_expired", "offer_already_redeemed", "amount_differs", "self_redemption"}
    )

    amount: Points
    offer: Digest
    shop: MemberId

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The offer, both accounts, and the transfer."""
        return (
            key(Offer, self.offer),
            key(Account, MEMBER, signed.author),
            key(Account, MERCHANT, self.shop),
            key(Transfer, signed.id),
        )

    def execute(self, rows: Rows, context: Context) -> RedeemPoints.Refusal | None:
        """Product 2.5 M1: one use, the amount that was bound, never more than is there."""
        offer = rows.get(Offer, self.offer)
        if offer is None or offer.shop != self.shop:
            return self.Refusal.OFFER_NOT_FOUND
        refusal = self._refuse_offer(offer, context)
        if refusal is not None:
            return refusal
        member, merchant = read_account(rows, MEMBER, context.author), read_account(rows, MERCHANT, self.shop)
        if member.balance < self.amount:
            return self.Refusal.BALANCE_TOO_LOW

        transfer(rows, context, member, merchant, self.amount)
        redeemed = msgspec.structs.replace(
            offer,
            state=TRANSITIONS[offer.state][self.kind],
            redeemed_by=context.author,
            redeemed_ms=context.time_ms,
            redemption=context.signed.id,
        )
        rows.put(redeemed)
        return None

    def _refuse_offer(self, offer: Offer, context: Context) -> RedeemPoints.Refusal | None:
        if context.time_ms >= offer.due_ms:
            return self.Refusal.OFFER_EXPIRED
        if self.kind not in TRANSITIONS[offer.state]:
            return self.Refusal.OFFER_ALREADY_REDEEMED
        if offer.amount != self.amount:
            return self.Refusal.AMOUNT_DIFFERS
        return self.Refusal.SELF_REDEMPTION if context.author == self.shop else None


class UndoRedemption(RecordKind, frozen=True):
    """The merchant returns the points of a redemption within ten minutes: a wrong amount, a wrong customer."""

    kind: ClassVar[str] = "redemption.undo"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.MERCHANT})

    class Refusal(enum.Enum):
        """In order of precedence."""

        OFFER_NOT_FOUND = "offer_not_found"
        NOT_YOUR_OFFER = "not_your_offer"
        NOT_REDEEMED = "not_redeemed"
        ALREADY_UNDONE = "already_undone"
        UNDO_TOO_LATE = "undo_too_late"
        MEMBER_DIFFERS = "member_differs"
        BALANCE_TOO_LOW = "balance_too_low"

    permanent: ClassVar[frozenset[str]] = frozenset(
        {"not_your_offer", "already_undone", "undo_too_late", "member_differs"}
    )

    member: MemberId
    offer: Digest

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The offer, both accounts, and the transfer."""
        return (
            key(Offer, self.offer),
            key(Account, MEMBER, self.member),
            key(Account, MERCHANT, signed.author),
            key(Transfer, signed.id),
        )

    def execute(self, rows: Rows, context: Context) -> UndoRedemption.Refusal | None:
        """Product 2.5 M2. The undo is a transfer of its own; nothing is erased."""
        offer = rows.get(Offer, self.offer)
        if offer is None:
            return self.Refusal.OFFER_NOT_FOUND
        refusal = self._refuse_offer(offer, context)
        if refusal is not None:
            return refusal
        merchant, member = read_account(rows, MERCHANT, context.author), read_account(rows, MEMBER, self.member)
        if merchant.balance < offer.amount:
            return self.Refusal.BALANCE_TOO_LOW

        transfer(rows, context, merchant, member, offer.amount)
        rows.put(msgspec.structs.replace(offer, state=TRANSITIONS[offer.state][self.kind], undo=context.signed.id))
        return None

    def _refuse_offer(self, offer: Offer, context: Context) -> UndoRedemption.Refusal | None:
        if offer.shop != context.author:
            return self.Refusal.NOT_YOUR_OFFER
        if offer.state == OPEN:
            return self.Refusal.NOT_REDEEMED
        if offer.state == UNDONE:
            return self.Refusal.ALREADY_UNDONE
        if context.time_ms > offer.redeemed_ms + UNDO_MS_MAX:
            return self.Refusal.UNDO_TOO_LATE
        return self.Refusal.MEMBER_DIFFERS if offer.redeemed_by != self.member else None
