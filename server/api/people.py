"""People as this organisation knows them: searched at the counter, and added by hand when they own no home.

For this organisation's own staff and officers only; what they read and change is logged without names. Nothing of it
goes to the ledger or to a peer: another organisation that must know the same person adds him itself, from his document.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Literal

import msgspec
import structlog
from msgspec import Meta

from server.api.call import Call
from server.api.errors import Declined
from server.api.limit import SEARCHES, count
from server.api.paging import LIMIT_DEFAULT, Limit, Page
from server.api.route import OWN_OFFICER, OWN_STAFF, Body, Path, Query, Routes
from server.domain.member import Member
from server.gateway.person import PersonFault, read_person
from server.record.kind import Role
from server.record.shape import MemberId, Shape
from server.storage.added_people import NewPerson, PersonNotAdded, PersonOwns

routes = Routes()
log = structlog.get_logger()
PersonName = Annotated[str, Meta(pattern=r"^[^\u0000-\u001f\u007f\u2028\u2029]{1,60}$(?!\n)")]
Typed = Annotated[str, Meta(pattern=r"^[^\u0000-\u001f\u007f\u2028\u2029]{0,40}$(?!\n)")]
DocumentKind = Literal[
    "resident_card", "passport", "hong_kong_macao_permit", "taiwan_permit", "foreign_resident_card", "company_code"
]


class PersonFound(msgspec.Struct, frozen=True):
    """A person of this organisation's own roll, for staff at the counter."""

    member: str
    name: str
    rooms: tuple[str, ...]
    phone_tail: str


class AddedPersonView(msgspec.Struct, frozen=True):
    """A person whom an officer added: the document's number masked, of the phone the last four digits."""

    member: str
    name: str
    document_kind: str
    document_masked: str
    phone_tail: str


class PersonAdded(Shape, frozen=True):
    """A person as his document names him. The phone may be empty: then only the counter can vouch for him."""

    name: PersonName
    document_kind: DocumentKind
    document_number: Typed
    phone: Typed


@routes.route("GET", "/api/v1/people", access=OWN_STAFF)
async def search_people(
    call: Call,
    query: Annotated[PersonName, Query],
    limit: Annotated[Limit, Query] = LIMIT_DEFAULT,
) -> Page[PersonFound]:
    """Search this organisation's own copy of the roll by name or home. For its own staff; each search is logged."""
    await count(call.node, SEARCHES, call.caller.member)
    found = await call.node.people.search(query, limit)
    log.info("people_searched", staff=call.caller.member, found=len(found))
    return Page([PersonFound(one.member, one.name, one.rooms, one.phone_tail) for one in found])


@routes.route("GET", "/api/v1/people/added", access=OWN_OFFICER)
async def list_added_people(call: Call) -> Page[AddedPersonView]:
    """Everybody whom this organisation's officers added, by name. Each look is logged."""
    found = await call.node.people.added.members()
    log.info("added_people_listed", officer=call.caller.member, found=len(found))
    return Page(
        [AddedPersonView(one.member, one.name, one.identity_kind, one.identity_masked, one.phone[-4:]) for one in found]
    )


@routes.route("POST", "/api/v1/people/added", access=OWN_OFFICER, declines=("person_details_bad", "person_owns"))
async def add_person(call: Call, body: Annotated[PersonAdded, Body]) -> PersonFound:
    """Add a person who owns no home, or correct one who was added before: the same document is the same member.

    Who stands on the roll is known already and keeps the name and number that the roster gives.
    """
    person = _read(body, _today(call))
    try:
        member = await call.node.people.added.add(person, call.caller.member, call.node.clock.now_ms())
    except PersonOwns:
        raise Declined("person_owns") from None
    log.info("person_added", officer=call.caller.member, member=member)
    return PersonFound(member, person.name, (), person.phone[-4:])


def _read(body: PersonAdded, today: date) -> NewPerson:
    try:
        read = read_person(body.name, body.document_kind, body.document_number, body.phone, today)
    except PersonFault as fault:
        raise Declined("person_details_bad", fault.reason, field=f"body.{fault.field}") from None
    return NewPerson(read.name, body.document_kind, read.number, read.phone)


@routes.route(
    "DELETE",
    "/api/v1/people/added/{member}",
    access=OWN_OFFICER,
    status=204,
    declines=("person_has_role", "person_unknown"),
)
async def remove_person(call: Call, member: Annotated[MemberId, Path]) -> None:
    """Forget a person who was added (PIPL 47). His roles are taken back first: the ledger would keep them."""
    known = await call.node.queries.get(Member, member)
    if known is not None and any(held != Role.RESIDENT.value for held in known.roles):
        raise Declined("person_has_role")
    try:
        await call.node.people.added.remove(member)
    except PersonNotAdded:
        raise Declined("person_unknown") from None
    log.info("person_removed", officer=call.caller.member, member=member)


def _today(call: Call) -> date:
    return datetime.fromtimestamp(call.node.clock.now_ms() / 1000, UTC).date()
