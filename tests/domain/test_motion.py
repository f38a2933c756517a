"""Motions: which questions may be put to the owners."""

from __future__ import annotations

from typing import Any

import pytest

from server.domain.motion import CANCELLED, FINAL, STEPS
from tests.domain.world import QUESTION, World, motion_body


def choices(*ids: str) -> list[dict[str, str]]:
    return [{"id": one, "text": one} for one in ids]


def question(question_id: str, *ids: str) -> dict[str, Any]:
    return {"choices": choices(*ids), "id": question_id, "seats": 0, "text": "?"}


def test_every_state_is_reached_and_only_two_are_last() -> None:
    assert {after for states in STEPS.values() for after in states} | {"proposed"} == set(STEPS)
    assert {state for state, after in STEPS.items() if not after} == {FINAL, CANCELLED}


def election(*ids: str) -> dict[str, Any]:
    return {**question("q1", *ids), "seats": 2}


@pytest.mark.parametrize(
    ("matter", "questions", "accepted"),
    [
        ("committee", [election("c1", "c2", "c3", "abstain")], True),
        ("committee", [election("c1", "c2", "c3")], False),
        ("committee", [election("c1", "for", "abstain")], False),
        ("fund-use", [election("c1", "c2", "c3", "abstain")], False),
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
    assert world.block(world.record("hu", "motion.propose", body)) == [
        "accepted" if accepted else "questions_malformed"
    ]
