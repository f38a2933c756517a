"""Motions: what may be put to the owners, and when."""

from __future__ import annotations

from typing import Any

import pytest

from server.domain.agenda import Timer
from server.domain.motion import VOTING_MS_MIN, Motion, OpenMotion, Turnout, questions_of
from tests.domain.world import QUESTION, ROLL, World, motion_body, roll_body


def choices(*ids: str) -> list[dict[str, str]]:
    return [{"id": one, "text": one} for one in ids]


def question(question_id: str, *ids: str) -> dict[str, Any]:
    return {"choices": choices(*ids), "id": question_id, "text": "?"}


def test_a_motion_freezes_its_roll_and_arms_its_close(world: World) -> None:
    motion_id = world.open_motion()
    motion = world.get(Motion, motion_id)
    assert motion is not None
    assert (motion.roll, motion.roll_heads, motion.roll_area_cm2) == (ROLL, 4, 5_400_000)
    assert (motion.state, motion.opened_by, motion.opens_ms) == ("open", "hu", world.time_ms)
    assert questions_of(motion)[0].choice_ids() == ("for", "against", "abstain")
    assert world.get(Turnout, motion_id, "q1") == Turnout(f"{motion_id}/q1", motion_id, "q1", 0, 0)
    [timer] = world.all(Timer, key=motion_id)
    assert (timer.kind, timer.due_ms, timer.done) == ("motion.tally", motion.close_ms, False)


def test_opening_refusals_stand_in_their_order(world: World) -> None:
    """Every fault at once; each refusal names the first, and it is mended."""
    published = roll_body("new")
    body = motion_body(
        world, roll="new", matter="colour", close_ms=world.time_ms, questions=[question("q1", "yes", "no")]
    )
    codes = [world.refuse("hu", "motion.open", body)]
    world.do("officer-owners", "roll.publish", published)
    codes.append(world.refuse("hu", "motion.open", body))
    world.do("officer-street", "roll.confirm", {"roll": "new", "root": published["root"]})
    for mended in ({"matter": "fund-use"}, {"close_ms": motion_body(world)["close_ms"]}, {"questions": [QUESTION]}):
        codes.append(world.refuse("hu", "motion.open", body))
        body.update(mended)
    assert codes == [refusal.value for refusal in OpenMotion.Refusal]
    world.do("hu", "motion.open", body)


@pytest.mark.parametrize(("over_ms", "accepted"), [(0, False), (1, True)])
def test_a_motion_is_open_for_more_than_a_minute(world: World, over_ms: int, accepted: bool) -> None:
    at_ms = world.time_ms + 1_000
    body = motion_body(world, close_ms=at_ms + VOTING_MS_MIN + over_ms)
    outcomes = world.block(world.record("hu", "motion.open", body), after_ms=1_000)
    assert outcomes == ["accepted" if accepted else "closes_too_soon"]


@pytest.mark.parametrize(
    ("matter", "questions", "accepted"),
    [
        ("fund-use", [question("q1", "abstain", "for", "against")], True),
        ("fund-use", [QUESTION, {**QUESTION, "id": "q2"}], True),
        ("fund-use", [QUESTION, QUESTION], False),
        ("fund-use", [question("q1", "for", "for", "against", "abstain")], False),
        ("fund-use", [question("q1", "for", "against")], False),
        ("fund-use", [question("q1", "for", "against", "abstain", "later")], False),
        ("fund-use", [question("q1", "red", "blue", "abstain")], False),
        ("other", [question("q1", "red", "blue", "abstain")], True),
        ("other", [question("q1", "red", "blue")], False),
        ("other", [question("q1", "red", "abstain")], False),
        ("other", [question("q1", "for", "blue", "abstain")], False),
        ("other", [QUESTION], True),
    ],
)
def test_questions_offer_what_their_matter_allows(
    world: World, matter: str, questions: list[dict[str, Any]], accepted: bool
) -> None:
    body = motion_body(world, matter=matter, questions=questions)
    assert world.block(world.record("hu", "motion.open", body)) == ["accepted" if accepted else "questions_malformed"]


def test_a_matter_of_another_pack_is_not_found(world: World) -> None:
    assert world.refuse("hu", "motion.open", motion_body(world, matter="area-change")) == "matter_not_found"
    world.open_motion(matter="area-change", rule_pack="shanghai")
    assert world.refuse("hu", "motion.open", motion_body(world, rule_pack="atlantis")) == "matter_not_found"


@pytest.mark.parametrize("author", ["li", "sun", "ma", "officer-street"])
def test_only_the_committee_opens_motions(world: World, author: str) -> None:
    assert world.refuse(author, "motion.open", motion_body(world)) == "role_missing"
