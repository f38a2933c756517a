"""What owners can decide together, by the law of the place."""

from __future__ import annotations

import msgspec

from server.api.call import Call
from server.api.motions import name_of
from server.api.paging import Page
from server.api.route import PUBLIC, Routes
from server.domain.rulepack import RULE_PACKS

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
    notice_days: int
    needs_procedure: bool


@routes.route("GET", "/api/v1/matters", access=PUBLIC)
async def list_matters(call: Call) -> Page[MatterView]:
    """The matters of all rule packs: a motion picks one, never a threshold."""
    return Page(
        [
            MatterView(
                pack.id,
                matter.id,
                name_of(matter, call),
                matter.majority.value,
                matter.clause,
                matter.text,
                matter.free_choices,
                pack.notice_days,
                pack.needs_procedure,
            )
            for pack in RULE_PACKS.values()
            for matter in pack.matters
        ]
    )
