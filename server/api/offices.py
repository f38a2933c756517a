"""Offices: who holds which role for whom, and which grants and revocations wait for the second signature.

Roles stand on the ledger, names do not: an officer sees the names that his own organisation's copy knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, TypeVar

import msgspec
import structlog

from server.api.call import Call
from server.api.route import OWN_OFFICER, Routes
from server.domain.member import GRANTABLE, Approval, GrantRole, Member
from server.record.kind import Role
from server.record.rows import Row
from server.storage.queries import LIMIT_MAX

routes = Routes()
log = structlog.get_logger()
SHOWN = (Role.OFFICER, *GRANTABLE)
R = TypeVar("R", bound=Row)


class RoleHeld(msgspec.Struct, frozen=True):
    """A member's role for an organisation. `name` is empty where this organisation does not know him."""

    member: str
    name: str
    role: str
    organisation: str
    devices: int


class RoleChange(msgspec.Struct, frozen=True):
    """A grant or revocation that lacks signatures; `approved_by` are the organisations whose officers signed."""

    change: Literal["grant", "revoke"]
    member: str
    name: str
    role: str
    organisation: str
    approved_by: tuple[str, ...]


class Offices(msgspec.Struct, frozen=True):
    """All roles but resident, and what waits. `approvals` organisations must sign for a change to hold."""

    approvals: int
    held: tuple[RoleHeld, ...]
    waiting: tuple[RoleChange, ...]


@routes.route("GET", "/api/v1/roles", access=OWN_OFFICER)
async def list_roles(call: Call) -> Offices:
    """Who holds which role, and what waits for another organisation. For this organisation's own officers."""
    members = await _members(call)
    approvals = await _all(lambda after: call.node.queries.select(Approval, after=after, limit=LIMIT_MAX))
    waiting = [approval for approval in approvals if approval.approved_by]
    names = await _names(call, [*members, *(_parts(approval)[1] for approval in waiting)])
    held = [_held(member, one, names) for member in members.values() for one in member.roles if "@" in one]
    log.info("roles_listed", officer=call.caller.member, members=len(members))
    return Offices(
        call.node.genesis.policy.approvals,
        tuple(sorted(held, key=lambda one: (one.organisation, one.role, one.member))),
        tuple(_change(approval, names) for approval in waiting),
    )


async def _members(call: Call) -> dict[str, Member]:
    found: dict[str, Member] = {}
    for role in SHOWN:

        async def ask(after: str, role: Role = role) -> Sequence[Member]:
            return await call.node.queries.members_with_role(role.value, after=after, limit=LIMIT_MAX)

        found |= {member.id: member for member in await _all(ask)}
    return found


async def _all(ask: Callable[[str], Awaitable[Sequence[R]]]) -> list[R]:
    """All rows of a list that is asked for piece by piece, by id."""
    found: list[R] = []
    while more := await ask(found[-1].id if found else ""):
        found += more
    return found


async def _names(call: Call, members: Sequence[str]) -> dict[str, str]:
    people = await call.node.people.people(members)
    return {member: person.name for member, person in people.items()}


def _held(member: Member, held: str, names: dict[str, str]) -> RoleHeld:
    role, _, organisation = held.partition("@")
    return RoleHeld(member.id, names.get(member.id, ""), role, organisation, len(member.devices))


def _parts(approval: Approval) -> tuple[str, str, str, str]:
    """Kind, member, role and organisation, of which an approval's id is made."""
    kind, member, role, organisation = approval.id.split("/")
    return kind, member, role, organisation


def _change(approval: Approval, names: dict[str, str]) -> RoleChange:
    kind, member, role, organisation = _parts(approval)
    change: Literal["grant", "revoke"] = "grant" if kind == GrantRole.kind else "revoke"
    return RoleChange(change, member, names.get(member, ""), role, organisation, approval.approved_by)
