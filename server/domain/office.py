"""Who holds an office, and what several of its holders have signed together.

A member's row says which roles he holds; an office's says who holds a role, so that a rule can ask for more than half
of a committee. It must not know what offices decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from server.domain.law.committee import is_signed
from server.record.canonical import digest, encode
from server.record.kind import Context, RecordKind, Role, Trust
from server.record.rows import Key, Row, Rows, key


class Office(Row, frozen=True):
    """An office, by its role. `holders` are `<member>@<organisation>`, in their order."""

    table: ClassVar[str] = "office"
    holders: tuple[str, ...] = ()


class Decision(Row, frozen=True):
    """What members of the committee sign together, each the same words: `<kind>/<digest of the body>`.

    `content` is the body as canonical JSON, so that a colleague is shown what he would sign. `signed_by` is empty again
    once it was taken, and the same words may be signed anew.
    """

    table: ClassVar[str] = "decision"
    indexes: ClassVar[tuple[tuple[str, ...], ...]] = (("subject",),)
    subject: str
    """The motion that it is about; empty where it is about the estate."""
    kind: str
    content: str
    signed_by: tuple[str, ...]
    taken: bool


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
    return is_signed(len(holders & frozenset(signers)), len(holders))


def _name_of(body: RecordKind) -> str:
    return f"{body.kind}/{digest(encode(body))}"


def decision_keys(body: RecordKind) -> tuple[Key, ...]:
    """The rows in which the committee's signatures under a decision are counted."""
    return (office_key(Role.COMMITTEE), key(Decision, _name_of(body)))


def signers_of(rows: Rows, body: RecordKind) -> tuple[str, ...]:
    """Who has signed this decision so far; nobody once it was taken."""
    decision = rows.get(Decision, _name_of(body))
    return decision.signed_by if decision is not None else ()


def sign_decision(rows: Rows, context: Context, subject: str = "") -> bool:
    """Add the author's signature to the committee's decision about `subject`. Is it taken now?"""
    body = context.signed.body
    signers = {*signers_of(rows, body), context.author}
    taken = is_decided(rows, signers, context.trust)
    said = (subject, body.kind, encode(body).decode())
    rows.put(Decision(_name_of(body), *said, signed_by=() if taken else tuple(sorted(signers)), taken=taken))
    return taken
