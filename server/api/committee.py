"""What the committee decides together: who has signed a motion, which decisions wait, which rules of procedure hold."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from server.api.call import Call
from server.api.errors import Declined
from server.api.route import PUBLIC, Path, Routes, roles
from server.domain.motion import Motion
from server.domain.office import Decision, Office, holders_of
from server.domain.procedure import IN_FORCE, Procedure, ProcedureInForce, procedure_of
from server.record.kind import Role
from server.record.shape import RecordId
from server.storage.queries import LIMIT_MAX

routes = Routes()
COMMITTEE = roles(Role.COMMITTEE)


class WaitingDecision(msgspec.Struct, frozen=True):
    """Words that some of the committee have signed: who signs the same `content` as a record of `kind` agrees."""

    kind: str
    content: dict[str, Any]
    signed_by: tuple[str, ...]
    signed_by_me: bool


class Signatures(msgspec.Struct, frozen=True):
    """How far the committee is with a motion: `needed` signatures of `members` announce it, or take a decision."""

    members: int
    needed: int
    approved_by: tuple[str, ...]
    approved_by_me: bool
    petition: str
    decisions: tuple[WaitingDecision, ...]


class ProcedureView(msgspec.Struct, frozen=True, omit_defaults=True):
    """The estate's rules of procedure; `rules` is absent while none are in force. `decisions` wait for signatures."""

    name: str
    since_ms: int
    record: str
    rules: Procedure | None = None


@routes.route("GET", "/api/v1/motions/{id}/committee", access=COMMITTEE, declines=("motion_unknown",))
async def show_signatures(call: Call, id: Annotated[RecordId, Path]) -> Signatures:
    """Who of the committee has signed a motion, and what else waits for signatures. For members of the committee."""
    motion = await call.node.queries.get(Motion, id)
    if motion is None:
        raise Declined("motion_unknown")
    members, me = await _committee(call), call.caller.member
    return Signatures(
        len(members),
        len(members) // 2 + 1,
        motion.approved_by,
        me in motion.approved_by,
        motion.petition,
        await _waiting(call, motion.id),
    )


@routes.route("GET", "/api/v1/procedure", access=PUBLIC)
async def show_procedure(call: Call) -> ProcedureView:
    """The rules of procedure that new motions are put under."""
    found = await call.node.queries.get(ProcedureInForce, IN_FORCE)
    if found is None:
        return ProcedureView("", 0, "")
    return ProcedureView(found.name, found.since_ms, found.record, procedure_of(found.content))


@routes.route("GET", "/api/v1/procedure/committee", access=COMMITTEE)
async def show_procedure_signatures(call: Call) -> Signatures:
    """Rules of procedure that wait for signatures of the committee."""
    members = await _committee(call)
    return Signatures(len(members), len(members) // 2 + 1, (), False, "", await _waiting(call, ""))


async def _committee(call: Call) -> frozenset[str]:
    office = await call.node.queries.get(Office, Role.COMMITTEE.value)
    return holders_of(office, call.node.trust)


async def _waiting(call: Call, subject: str) -> tuple[WaitingDecision, ...]:
    found = await call.node.queries.select(Decision, subject=subject, limit=LIMIT_MAX)
    me = call.caller.member
    return tuple(
        WaitingDecision(one.kind, msgspec.json.decode(one.content), one.signed_by, me in one.signed_by)
        for one in found
        if one.signed_by
    )
