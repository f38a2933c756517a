"""Objections: a ballot that is said not to be the home's, a result that is objected to, and their answers."""

from __future__ import annotations

from typing import Any

from server.domain.ballot import Ballot
from server.domain.motion import Motion
from server.domain.objection import (
    AnswerObjection,
    ContestBallot,
    Objection,
    ObjectToMotion,
    objections_end_ms,
)
from server.limits import DAY_MS, HOUR_MS
from tests.domain.test_procedure import adopt
from tests.domain.test_proposal import lawful
from tests.domain.world import ROLL, World

NOBODY = "A" * 43


def contest(motion: str, position: int, **changes: Any) -> dict[str, Any]:
    body = {"motion": motion, "position": position, "question": "q1", "roll": ROLL, "words": "我们家没有投过票"}
    return {**body, **changes}


def objection(motion: str, position: int, **changes: Any) -> dict[str, Any]:
    body = contest(motion, position, **changes)
    del body["question"]
    return body


def open_vote(world: World) -> str:
    """A binding vote in which wang has voted for his and zhao's home."""
    adopt(world, "hu")
    motion = world.do("hu", "motion.propose", lawful(world))
    world.pass_time(17 * DAY_MS)
    world.cast("wang", motion, 1)
    return motion


def close(world: World, motion: str) -> Motion:
    row = world.get(Motion, motion)
    assert row is not None
    if row.state == "open":
        world.pass_time(row.close_ms - world.time_ms + HOUR_MS)
    row = world.get(Motion, motion)
    assert row is not None
    return row


def test_a_co_owner_contests_a_ballot_of_his_home_and_the_count_stays(world: World) -> None:
    motion = open_vote(world)
    contested = world.do("zhao", "ballot.contest", contest(motion, 1))
    row, ballot = world.get(Objection, contested), world.get(Ballot, motion, "q1", "1")
    assert row is not None and ballot is not None
    assert (row.contested, row.area_cm2, row.answered_ms) == (f"q1/{ballot.record}", 1_000_000, 0)
    assert close(world, motion).state == "tallied"


def test_contest_refusals_stand_in_their_order(world: World) -> None:
    world.publish_roll("other", [(("li",), 1)])
    motion = open_vote(world)
    announced = world.do("hu", "motion.propose", lawful(world))
    body = contest(NOBODY, 0, roll="other")
    codes = [world.refuse("wang", "ballot.contest", body)]
    for mended in ({"motion": announced}, {"motion": motion}, {"roll": ROLL}, {"position": 1, "question": "q2"}):
        body.update(mended)
        codes.append(world.refuse("wang", "ballot.contest", body))
    body["question"] = "q1"
    codes.append(world.refuse("wang", "ballot.contest", body))
    world.do("zhao", "ballot.contest", body)
    codes.append(world.refuse("zhao", "ballot.contest", body))
    assert codes == [refusal.value for refusal in ContestBallot.Refusal]


def test_who_voted_himself_may_say_after_the_close_that_it_was_not_he(world: World) -> None:
    """A stolen phone: while voting goes on he replaces the ballot instead."""
    motion = open_vote(world)
    close(world, motion)
    world.do("wang", "ballot.contest", contest(motion, 1))


def test_result_refusals_stand_in_their_order_and_objections_end(world: World) -> None:
    world.publish_roll("other", [(("li",), 1)])
    motion = open_vote(world)
    body = objection(NOBODY, 2, roll="other")
    codes = [world.refuse("li", "motion.object", body)]
    body["motion"] = motion
    codes.append(world.refuse("li", "motion.object", body))
    row = close(world, motion)
    codes.append(world.refuse("li", "motion.object", body))
    body["roll"] = ROLL
    codes.append(world.refuse("li", "motion.object", body))
    assert codes == [refusal.value for refusal in ObjectToMotion.Refusal]
    body["position"] = 0
    world.do("li", "motion.object", body)
    end_ms = objections_end_ms(row, row.tallied_ms)
    assert end_ms == row.tallied_ms + 7 * DAY_MS
    world.pass_time(end_ms - world.time_ms - 1_000)
    assert world.copy().refuse("chen", "motion.object", objection(motion, 2)) == "objections_over"
    world.do("chen", "motion.object", objection(motion, 2), after_ms=999)


def test_a_rehearsal_is_objected_to_while_it_is_open_only(world: World) -> None:
    motion = world.open_motion()
    world.cast("wang", motion, 1)
    world.do("zhao", "ballot.contest", contest(motion, 1))
    world.pass_time(2 * HOUR_MS)
    assert world.refuse("li", "motion.object", objection(motion, 0)) == "objections_over"


def test_an_answer_takes_more_than_half_of_the_committee_under_the_same_words(world: World) -> None:
    for member in ("he", "lu"):
        world.grant(member, "committee", "owners")
    motion = world.propose_motion()
    world.do("he", "motion.approve", {"motion": motion, "petition": "", "roll": ROLL})
    world.block()
    world.cast("wang", motion, 1)
    contested = world.do("zhao", "ballot.contest", contest(motion, 1))
    body = {"objection": NOBODY, "reason": "核对签名后确认不是本人", "upheld": True}
    codes = [world.refuse("hu", "objection.answer", body)]
    body["objection"] = contested
    world.do("hu", "objection.answer", body)
    assert world.refuse("hu", "objection.answer", body) == "already_signed"
    world.do("he", "objection.answer", {**body, "upheld": False})
    row = world.get(Objection, contested)
    assert row is not None and row.answered_ms == 0, "they said two different things"
    world.do("lu", "objection.answer", body)
    row = world.get(Objection, contested)
    assert row is not None and row.upheld and row.answered_ms == world.time_ms
    codes += [world.refuse("lu", "objection.answer", body), "already_signed"]
    assert codes == [refusal.value for refusal in AnswerObjection.Refusal]
