"""Points: double entry in integers. Every transfer debits one account and credits another; the sum of all is always 0.

Points never bear on votes or on the order of tickets: no rule there reads a row of this file.
"""

from __future__ import annotations

import enum
from typing import ClassVar

import msgspec

from server.domain.member import Member
from server.record.kind import Context, RecordKind, Role, Signed
from server.record.rows import Key, Row, Rows, key
from server.record.shape import Line, MemberId, Name, Points

GRANT_POINTS_MAX = 10_000
"""Points of one grant: a slip of the finger stays small."""
MEMBER, MERCHANT, ISSUER = "member", "merchant", "issuer"
"""Who owns an account: `member/<member>`, `merchant/<member>`, `issuer/<programme>`."""


class Account(Row, frozen=True):
    """An account: what went out and what came in. Only an issuer's balance may go below zero: what it has issued."""

    table: ClassVar[str] = "account"
    debits: int = 0
    credits: int = 0

    @property
    def balance(self) -> int:
        """What is left."""
        return self.credits - self.debits


class Transfer(Row, frozen=True):
    """One movement of points, never changed. Its id is the record that made it."""

    table: ClassVar[str] = "transfer"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("debit", "index"), ("credit", "index"))
    debit: str
    credit: str
    amount: int
    kind: str
    reason: str
    at_ms: int
    index: int


class Grant(Row, frozen=True):
    """A member earned points for an activity: once. Id `<activity>/<member>`."""

    table: ClassVar[str] = "points_grant"
    record: str


def read_account(rows: Rows, owner: str, name: str) -> Account:
    """The account of an owner; a new one is empty."""
    return rows.get(Account, owner, name) or Account(f"{owner}/{name}")


def transfer(rows: Rows, context: Context, debit: Account, credit: Account, amount: int, reason: str = "") -> None:
    """Move points. The caller has refused what the debited account does not hold."""
    assert amount > 0 and debit.id != credit.id
    assert debit.balance >= amount or debit.id.startswith(f"{ISSUER}/"), "only an issuer goes below zero"
    rows.put(msgspec.structs.replace(debit, debits=debit.debits + amount))
    rows.put(msgspec.structs.replace(credit, credits=credit.credits + amount))
    signed, place = context.signed, context.place
    rows.put(Transfer(signed.id, debit.id, credit.id, amount, signed.kind, reason, place.time_ms, place.index))


class GrantPoints(RecordKind, frozen=True):
    """Staff or the committee grants points for an activity, once a member."""

    kind: ClassVar[str] = "points.grant"
    signed_by: ClassVar[frozenset[Role]] = frozenset({Role.STAFF, Role.COMMITTEE})

    class Refusal(enum.Enum):
        """In order of precedence."""

        SELF_GRANT = "self_grant"
        ALREADY_GRANTED = "already_granted"
        MEMBER_NOT_FOUND = "member_not_found"
        OVER_GRANT_CAP = "over_grant_cap"

    permanent: ClassVar[frozenset[str]] = frozenset({"self_grant", "already_granted", "over_grant_cap"})

    activity: Name
    amount: Points
    member: MemberId
    programme: Name
    reason: Line

    def access(self, signed: Signed) -> tuple[Key, ...]:
        """The member, both accounts, the grant, and the transfer."""
        return (
            key(Member, self.member),
            key(Account, ISSUER, self.programme),
            key(Account, MEMBER, self.member),
            key(Grant, self.activity, self.member),
            key(Transfer, signed.id),
        )

    def execute(self, rows: Rows, context: Context) -> GrantPoints.Refusal | None:
        """Product 2.4 M2."""
        if context.author == self.member:
            return self.Refusal.SELF_GRANT
        if rows.get(Grant, self.activity, self.member) is not None:
            return self.Refusal.ALREADY_GRANTED
        if rows.get(Member, self.member) is None:
            return self.Refusal.MEMBER_NOT_FOUND
        if self.amount > GRANT_POINTS_MAX:
            return self.Refusal.OVER_GRANT_CAP
        issuer, member = read_account(rows, ISSUER, self.programme), read_account(rows, MEMBER, self.member)
        rows.put(Grant(f"{self.activity}/{self.member}", context.signed.id))
        transfer(rows, context, issuer, member, self.amount, self.reason)
        return None
