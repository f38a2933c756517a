"""Rolls: published in parts, confirmed by another organisation, in force only then."""

from __future__ import annotations

from typing import Any

import pytest

from server.domain.member import Member
from server.domain.roll import ConfirmRoll, PublishRoll, Roll, RollHead
from server.record.canonical import Malformed, b64u_encode, digest
from tests.domain.world import World, roll_body

HEADS = ((("a",), 10), (("b", "c"), 20), (("d",), 30))


def parts_of(body: dict[str, Any], cut: int) -> list[dict[str, Any]]:
    """The body in two parts."""
    head, tail = body["heads"][:cut], body["heads"][cut:]
    return [
        {**body, "heads": head, "parts": 2},
        {**body, "heads": tail, "part": 1, "parts": 2, "position": cut},
    ]


def test_a_roll_in_parts_is_in_force_after_another_organisation_confirms_it(world: World) -> None:
    body = roll_body("new", HEADS)
    for part in parts_of(body, 2):
        world.do("officer-owners", "roll.publish", part)
    roll = world.get(Roll, "new")
    assert roll is not None
    assert (roll.heads, roll.area_cm2, roll.in_force, roll.confirmed_by) == (3, 60, False, ("owners",))
    world.do("officer-property", "roll.confirm", {"roll": "new", "root": body["root"]})
    roll = world.get(Roll, "new")
    assert roll is not None and roll.in_force
    assert [(head.members, head.area_cm2) for head in world.all(RollHead, roll="new")] == list(HEADS)


def test_who_stands_on_a_roll_is_a_resident(world: World) -> None:
    world.do("officer-owners", "roll.publish", roll_body("new", HEADS))
    assert world.get(Member, "c") == Member("c", ("resident",))


def test_publishing_refusals_stand_in_their_order(world: World) -> None:
    body = roll_body("new", HEADS)
    first, second = parts_of(body, 2)
    codes = [world.refuse("officer-owners", "roll.publish", {**second, "root": digest(b"other")})]
    world.do("officer-owners", "roll.publish", first)
    codes.append(world.refuse("officer-owners", "roll.publish", {**second, "root": digest(b"other")}))
    assert codes == [refusal.value for refusal in PublishRoll.Refusal]
    world.do("officer-owners", "roll.publish", second)


@pytest.mark.parametrize("position", [0, 1, 3])
def test_a_part_starts_where_the_one_before_ended(world: World, position: int) -> None:
    first, second = parts_of(roll_body("new", HEADS), 2)
    world.do("officer-owners", "roll.publish", first)
    assert world.refuse("officer-owners", "roll.publish", {**second, "position": position}) == "roll_part_out_of_order"


def test_leaves_that_do_not_give_the_root_are_refused(world: World) -> None:
    body = roll_body("new", HEADS)
    body["heads"][1]["leaf"] = digest(b"another leaf")
    assert world.refuse("officer-owners", "roll.publish", body) == "roll_differs"


@pytest.mark.parametrize("change", [{"members": ["officer-owners"]}, {"area_cm2": 11}])
def test_members_and_areas_stand_under_the_root_that_others_confirm(world: World, change: dict[str, Any]) -> None:
    body = roll_body("new", HEADS)
    body["heads"][0] |= change
    assert world.refuse("officer-owners", "roll.publish", body) == "roll_differs"


def test_a_complete_roll_takes_no_further_part(world: World) -> None:
    body = roll_body("new", HEADS)
    world.do("officer-owners", "roll.publish", body)
    further = {**body, "part": 1, "position": 3}
    assert world.refuse("officer-owners", "roll.publish", further) == "roll_part_out_of_order"


def test_confirming_refusals_stand_in_their_order(world: World) -> None:
    body = roll_body("new", HEADS)
    first, second = parts_of(body, 1)
    wrong = {"roll": "new", "root": digest(b"other")}
    world.do("officer-owners", "roll.publish", first)
    codes = [world.refuse("officer-owners", "roll.confirm", wrong)]
    world.do("officer-owners", "roll.publish", second)
    codes.append(world.refuse("officer-owners", "roll.confirm", wrong))
    codes.append(world.refuse("officer-owners", "roll.confirm", {"roll": "new", "root": body["root"]}))
    assert codes == [refusal.value for refusal in ConfirmRoll.Refusal]


def test_a_leaf_with_another_spelling_is_malformed_before_it_can_stop_a_node(world: World) -> None:
    body = roll_body("new", HEADS)
    leaf = b64u_encode(bytes(32))
    assert leaf[-1] == "A"
    body["heads"][0]["leaf"] = leaf[:-1] + "B"
    with pytest.raises(Malformed, match="leaf"):
        world.block(world.record("officer-owners", "roll.publish", body))
