"""Who holds an office, and what several of its holders have signed together.

A member's row says which roles he holds; an office's says who holds a role, so that a rule can ask for more than half
of a committee. It must not know what offices decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from server.domain.law import is_more_than_half
from server.record.canonical import digest, encode
from server.record.kind import Context, RecordKind, Role, Trust
from server.record.rows import Key, Row, Rows, key


class Office(Row, frozen=True):
    """An office, by its role. `holders` are `<member>@<organisation>`, in their order."""

    table: ClassVar[str] = "office"
    holders: tuple[str, ...] = ()


class Approval(Row, frozen=True):
    """Who has signed something that takes several: organisations a grant of a role, committee members a decision.

    Empty again once it took effect.
    """

    table: ClassVar[str] = "approval"
    approved_by: tuple[str, ...]


def office_key(role: Role) -> Key:
    """The row that says who holds `role`."""
    return key(Office, role.value)


def keep_office(rows: Rows, role: str, member: str, organisation: str, *, holds: bool) -> None:
    """Enter a holder, or strike one out; the office's row must be in the access set."""
    office = rows.get(Office, role) or Office(role)
    holder = f"{member}@{organisation}"
    left = {one for one in office.holders if one != holder}
    rows.put(Office(role, tuple(sorted(left | {holder} if holds else left))))


def holders_of(office: Office | None, trust: Trust) -> frozenset[str]:
    """The members who hold an office for organisations that are members of the cluster, each once."""
    holders = (holder.partition("@") for holder in office.holders) if office is not None else ()
    return frozenset(member for member, _, organisation in holders if organisation in trust.attest_keys)


def is_decided(rows: Rows, signers: Iterable[str], trust: Trust) -> bool:
    """Have more than half of *all* members of the owners' committee signed? (Shanghai provisions art. 26.)

    Who has left the committee since he signed no longer counts, neither above nor below the line.
    """
    holders = holders_of(rows.get(Office, Role.COMMITTEE.value), trust)
    return is_more_than_half(len(holders & frozenset(signers)), len(holders))


def _decision(body: RecordKind) -> str:
    """What a decision is called: all who sign the same body sign the same decision."""
    return f"{body.kind}/{digest(encode(body))}"


def decision_keys(body: RecordKind) -> tuple[Key, ...]:
    """The rows in which the committee's signatures under a decision are counted."""
    return (office_key(Role.COMMITTEE), key(Approval, _decision(body)))


def signers_of(rows: Rows, context: Context) -> tuple[str, ...]:
    """Who has signed this decision so far; nobody once it took effect."""
    approval = rows.get(Approval, _decision(context.signed.body))
    return approval.approved_by if approval is not None else ()


def sign_decision(rows: Rows, context: Context) -> bool:
    """Add the author's signature to the committee's decision. Does it take effect now?"""
    signers = {*signers_of(rows, context), context.author}
    decided = is_decided(rows, signers, context.trust)
    rows.put(Approval(_decision(context.signed.body), () if decided else tuple(sorted(signers))))
    return decided
