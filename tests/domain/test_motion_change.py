"""What the committee may change about an announced motion, and what it may not."""

from __future__ import annotations

import pytest

from server.domain.agenda import Timer
from server.domain.motion import Motion
from server.domain.motion_change import CancelMotion, CorrectMotion, ExtendMotion
from server.limits import HOUR_MS
from tests.domain.world import World, ballot_body, motion_body, roll_body

NOBODY = "A" * 43


@pytest.fixture
def committee(world: World) -> World:
    """Three members, of whom two must sign."""
    for member in ("he", "lu"):
        world.grant(member, "committee", "owners")
    return world


def propose(world: World, **changes: object) -> str:
    """An open motion of the whole committee."""
    motion = world.do("hu", "motion.propose", motion_body(world, **changes))
    world.do("he", "motion.approve", {"motion": motion, "petition": "", "roll": motion_body(world, **changes)["roll"]})
    world.block()
    return motion


def row(world: World, motion: str) -> Motion:
    found = world.get(Motion, motion)
    assert found is not None
    return found


def test_an_extension_takes_the_same_words_of_more_than_half(committee: World) -> None:
    motion = propose(committee)
    close_ms = row(committee, motion).close_ms
    body = {"close_ms": close_ms + HOUR_MS, "motion": motion, "reason": "台风停电，延长一小时"}
    committee.do("hu", "motion.extend", body)
    committee.do("lu", "motion.extend", {**body, "close_ms": close_ms + 2 * HOUR_MS})
    assert row(committee, motion).close_ms == close_ms, "they signed two different ends"
    committee.do("lu", "motion.extend", body)
    extended = row(committee, motion)
    assert (extended.close_ms, extended.closed_first_ms) == (close_ms + HOUR_MS, close_ms)
    assert extended.reason == "台风停电，延长一小时"
    [tally] = [timer for timer in committee.all(Timer, key=motion) if timer.kind == "motion.tally"]
    assert tally.due_ms == close_ms + HOUR_MS
    committee.pass_time(close_ms - committee.time_ms + 1)
    assert row(committee, motion).state == "open"


def test_extension_refusals_stand_in_their_order(committee: World) -> None:
    motion = propose(committee)
    close_ms = row(committee, motion).close_ms
    body = {"close_ms": close_ms, "motion": NOBODY, "reason": "再等等"}
    codes = [committee.refuse("hu", "motion.extend", body)]
    body["motion"] = motion
    late = committee.copy()
    codes.append(late.refuse("hu", "motion.extend", body, after_ms=HOUR_MS, made_ms=close_ms))
    again = committee.copy()
    for member in ("hu", "he"):
        again.do(member, "motion.extend", {**body, "close_ms": close_ms + HOUR_MS})
    codes.append(again.refuse("lu", "motion.extend", body))
    codes.append(committee.refuse("hu", "motion.extend", body))
    body["close_ms"] = close_ms + 1
    committee.do("hu", "motion.extend", body)
    codes.append(committee.refuse("hu", "motion.extend", body))
    assert codes == [refusal.value for refusal in ExtendMotion.Refusal]


def test_a_cancelled_motion_is_never_counted(committee: World) -> None:
    motion = propose(committee)
    committee.cast("li", motion, 0)
    for member in ("hu", "lu"):
        committee.do(member, "motion.cancel", {"motion": motion, "reason": "方案有误，重新公告"})
    assert (row(committee, motion).state, row(committee, motion).reason) == ("cancelled", "方案有误，重新公告")
    assert committee.refuse("chen", "ballot.cast", ballot_body(motion, 2)) == "motion_closed"
    committee.pass_time(3 * HOUR_MS)
    assert row(committee, motion).state == "cancelled"


def test_a_proposal_that_is_cancelled_before_it_was_announced_never_opens(committee: World) -> None:
    motion = committee.propose_motion(opens_ms=committee.time_ms + HOUR_MS, close_ms=committee.time_ms + 3 * HOUR_MS)
    for member in ("hu", "lu"):
        committee.do(member, "motion.cancel", {"motion": motion, "reason": "不办了"})
    committee.pass_time(2 * HOUR_MS)
    assert row(committee, motion).state == "cancelled"


def test_cancelling_refusals_stand_in_their_order(committee: World) -> None:
    motion = propose(committee)
    close_ms = row(committee, motion).close_ms
    body = {"motion": NOBODY, "reason": "不办了"}
    codes = [committee.refuse("hu", "motion.cancel", body)]
    body["motion"] = motion
    codes.append(committee.copy().refuse("hu", "motion.cancel", body, after_ms=HOUR_MS, made_ms=close_ms))
    committee.do("hu", "motion.cancel", body)
    codes.append(committee.refuse("hu", "motion.cancel", body))
    assert codes == [refusal.value for refusal in CancelMotion.Refusal]


def test_a_corrected_roll_replaces_the_first_one_until_voting_begins(committee: World) -> None:
    opens_ms = committee.time_ms + HOUR_MS
    motion = committee.propose_motion(opens_ms=opens_ms, close_ms=opens_ms + HOUR_MS)
    corrected = roll_body("corrected", [(("li",), 900_000)])
    body = {"motion": NOBODY, "reason": "302室面积更正", "roll": "corrected"}
    codes = [committee.refuse("hu", "motion.correct", body)]
    body["motion"] = propose(committee)
    codes.append(committee.refuse("hu", "motion.correct", body))
    body["motion"] = motion
    codes.append(committee.refuse("hu", "motion.correct", body))
    committee.do("officer-owners", "roll.publish", corrected)
    codes.append(committee.refuse("hu", "motion.correct", body))
    committee.do("officer-street", "roll.confirm", {"roll": "corrected", "root": corrected["root"]})
    committee.do("hu", "motion.correct", body)
    codes.append(committee.refuse("hu", "motion.correct", body))
    assert codes == [refusal.value for refusal in CorrectMotion.Refusal]
    committee.do("lu", "motion.correct", body)
    changed = row(committee, motion)
    assert (changed.roll, changed.roll_heads, changed.roll_area_cm2) == ("corrected", 1, 900_000)
