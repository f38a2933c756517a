"""Proofs of delivery, and what silence counts as with them."""

from __future__ import annotations

from typing import Any

import pytest

from server.domain.delivery import ConfirmDelivery, Delivery
from server.domain.motion import Motion
from server.domain.tally import TallyResult
from server.limits import DAY_MS, HOUR_MS
from tests.domain.test_procedure import adopt
from tests.domain.test_proposal import lawful
from tests.domain.test_ticket import REPORT
from tests.domain.world import ROLL, World, photo, roll_body

NOBODY = "A" * 43


def served(motion: str, *positions: int, **changes: Any) -> dict[str, Any]:
    body = {"channel": "door", "motion": motion, "positions": list(positions), "proof": [photo("door")], "roll": ROLL}
    return {**body, **changes}


def test_each_head_keeps_its_first_proof(world: World) -> None:
    motion = world.open_motion()
    first = world.do("sun", "delivery.confirm", served(motion, 0, 2, 2))
    world.do("hu", "delivery.confirm", served(motion, 2, 3, channel="sms", proof=[]))
    proofs = {row.position: (row.channel, row.by, row.area_cm2) for row in world.all(Delivery, motion=motion)}
    assert proofs == {0: ("door", "sun", 900_000), 2: ("door", "sun", 2_700_000), 3: ("sms", "hu", 800_000)}
    row = world.get(Delivery, motion, "2")
    assert row is not None and row.record == first


def test_delivery_refusals_stand_in_their_order(world: World) -> None:
    world.do("li", "ticket.report", {**REPORT, "photos": [photo("li's")]})
    motion = world.open_motion()
    world.publish_roll("other", [(("li",), 1)])
    closed = world.open_motion(close_ms=world.time_ms + 63_000)
    world.pass_time(64_000)
    body = served(NOBODY, 9, roll="other", proof=[])
    codes = [world.refuse("sun", "delivery.confirm", body)]
    for mended in (
        {"motion": closed},
        {"motion": motion},
        {"roll": ROLL},
        {"positions": [0]},
        {"proof": [photo("li's")]},
    ):
        body.update(mended)
        codes.append(world.refuse("sun", "delivery.confirm", body))
    assert codes == [refusal.value for refusal in ConfirmDelivery.Refusal]
    assert world.refuse("li", "delivery.confirm", served(motion, 0)) == "role_missing"


def silent_vote(world: World, silence: str, *served_positions: int) -> TallyResult:
    """Four heads: li agrees, and those at the positions were served. The result of the vote."""
    adopt(world, "hu", silence=silence)
    motion = world.do("hu", "motion.propose", lawful(world))
    world.do("sun", "delivery.confirm", served(motion, *served_positions))
    world.pass_time(17 * DAY_MS)
    world.cast("li", motion, 0)
    world.cast("wang", motion, 1, "against")
    world.cast("chen", motion, 2)
    row = world.get(Motion, motion)
    assert row is not None
    world.pass_time(row.close_ms - world.time_ms + HOUR_MS)
    result = world.get(TallyResult, motion, "q1")
    assert result is not None
    return result


@pytest.mark.parametrize(
    ("silence", "served_positions", "silent", "deemed"),
    [
        ("absent", (0, 3), 0, ""),
        ("participates", (0, 3), 1, "not_passed"),
        ("follows", (0, 3), 1, "passed"),
        ("follows", (0, 1), 0, "passed"),
    ],
)
def test_silence_counts_as_the_rules_of_procedure_say_and_only_with_proof(
    world: World, silence: str, served_positions: tuple[int, ...], silent: int, deemed: str
) -> None:
    """Two of three who voted agree, with two thirds of the area; the fourth was served, or was not."""
    result = silent_vote(world, silence, *served_positions)
    assert (result.heads, result.result, result.chosen) == (3, "passed", "for")
    assert (result.silence, result.silent_heads, result.deemed_result) == (silence, silent, deemed)
    assert result.is_carried == (deemed != "not_passed")


def test_a_corrected_roll_is_served_by_its_own_name(world: World) -> None:
    motion = world.open_motion()
    published = roll_body("new")
    world.do("officer-owners", "roll.publish", published)
    assert world.refuse("sun", "delivery.confirm", served(motion, 0, roll="new")) == "roll_differs"
