"""The estate's rules of procedure: adopted by more than half of the committee, copied into each motion."""

from __future__ import annotations

from typing import Any

from server.domain.motion import Motion
from server.domain.photo import Document
from server.domain.procedure import IN_FORCE, ProcedureInForce, procedure_of
from tests.domain.test_ticket import REPORT
from tests.domain.world import World, motion_body, photo

RULES = {"electronic": True, "garages": "left_out", "objection_days": 7, "proxies_max": 3, "silence": "absent"}


def procedure_body(**changes: Any) -> dict[str, Any]:
    return {
        "document": [photo(f"rules of procedure {changes}")],
        "name": "议事规则（2025年修订）",
        "rules": {**RULES, **changes},
    }


def adopt(world: World, *members: str, **changes: Any) -> None:
    """Members of the committee sign the same rules of procedure."""
    for member in members:
        world.do(member, "procedure.adopt", procedure_body(**changes))


def in_force(world: World) -> ProcedureInForce | None:
    return world.get(ProcedureInForce, IN_FORCE)


def test_rules_of_procedure_take_more_than_half_of_the_committee_under_the_same_text(world: World) -> None:
    for member in ("he", "lu"):
        world.grant(member, "committee", "owners")
    adopt(world, "hu")
    adopt(world, "he", proxies_max=4)
    assert in_force(world) is None
    assert world.refuse("hu", "procedure.adopt", procedure_body()) == "already_signed"
    adopt(world, "lu")
    adopted = in_force(world)
    assert adopted is not None and procedure_of(adopted.content).proxies_max == 3  # type: ignore[union-attr]
    assert len(world.all(Document, kind="procedure")) == 2, "the first who signs a text files its pages"


def test_a_picture_of_somebody_else_is_no_document(world: World) -> None:
    world.do("li", "ticket.report", {**REPORT, "photos": [photo("mine")]})
    body = {**procedure_body(), "document": [photo("mine")]}
    assert world.refuse("hu", "procedure.adopt", body) == "photo_of_another"


def test_a_motion_keeps_the_rules_under_which_it_was_proposed(world: World) -> None:
    adopt(world, "hu")
    motion = world.do("hu", "motion.propose", motion_body(world))
    adopt(world, "hu", proxies_max=9)
    row, now = world.get(Motion, motion), in_force(world)
    assert row is not None and now is not None
    before, after = procedure_of(row.procedure), procedure_of(now.content)
    assert before is not None and after is not None
    assert (before.proxies_max, after.proxies_max) == (3, 9)
