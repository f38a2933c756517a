"""What owners can decide together, by the law of the place."""

from __future__ import annotations

import msgspec

from server.api.call import Call
from server.api.motions import name_of
from server.api.paging import Page
from server.api.route import PUBLIC, Routes
from server.domain.rulepacks import RULE_PACKS

routes = Routes()


class MatterView(msgspec.Struct, frozen=True):
    """A kind of decision, and what the law asks for: the majority, and how many days of notice."""

    rule_pack: str
    id: str
    name: str
    majority: str
    clause: str
    text: str
    free_choices: bool
    is_election: bool
    notice_days: int
    needs_procedure: bool


@routes.route("GET", "/api/v1/matters", access=PUBLIC)
async def list_matters(call: Call) -> Page[MatterView]:
    """The matters of all rule packs: a motion picks one, never a threshold."""
    return Page(
        [
            MatterView(
                pack.reference,
                matter.id,
                name_of(matter, call),
                matter.majority.value,
                matter.clause.article,
                matter.clause.text,
                matter.free_choices,
                matter.is_election,
                pack.notice_days.value,
                pack.is_binding,
            )
            for pack in RULE_PACKS.values()
            for matter in pack.matters
        ]
    )
