"""Petitions: a fifth of the owners, and the committee must bring a vote in time."""

from __future__ import annotations

import pytest

from server.domain.agenda import Timer
from server.domain.law.convening import is_one_fifth, petition_min
from server.domain.petition import ANSWER_MS, Petition, SignPetition, StartPetition, WithdrawSignature
from tests.domain.world import ROLL, World, motion_body, roll_body

NOBODY = "A" * 43
START = {"position": 0, "roll": ROLL, "text": "请召开业主大会", "title": "更换物业"}


def signing(petition: str, position: int, roll: str = ROLL) -> dict[str, object]:
    return {"petition": petition, "position": position, "roll": roll}


def row(world: World, petition: str) -> Petition:
    found = world.get(Petition, petition)
    assert found is not None
    return found


@pytest.mark.parametrize(("whole", "least"), [(1_152, 231), (500, 100), (49, 10), (44, 9)])
def test_twenty_percent_includes_the_number(whole: int, least: int) -> None:
    """V15."""
    assert is_one_fifth(least, whole) and not is_one_fifth(least - 1, whole)
    assert petition_min(whole) == least


def test_a_petition_with_a_fifth_starts_the_clock_of_the_committee(world: World) -> None:
    petition = world.do("li", "petition.start", START)
    assert (row(world, petition).state, row(world, petition).heads) == ("open", 0)
    world.do("li", "petition.sign", signing(petition, 0))
    reached = row(world, petition)
    assert (reached.state, reached.heads, reached.area_cm2) == ("reached", 1, 900_000)
    [timer] = world.all(Timer, key=petition)
    assert (timer.kind, timer.due_ms) == ("petition.overdue", reached.reached_ms + ANSWER_MS)


def test_a_committee_that_lets_its_time_pass_is_shown_to_be_late_and_may_still_answer(world: World) -> None:
    petition = world.do("li", "petition.start", START)
    world.do("li", "petition.sign", signing(petition, 0))
    world.block(after_ms=ANSWER_MS)
    assert row(world, petition).state == "overdue"
    motion = world.propose_motion(petition=petition)
    assert (row(world, petition).state, row(world, petition).motion) == ("answered", motion)


def test_a_motion_that_is_announced_answers_a_petition_and_stops_its_clock(world: World) -> None:
    petition = world.do("li", "petition.start", START)
    world.do("li", "petition.sign", signing(petition, 0))
    world.do("hu", "motion.propose", motion_body(world, petition=petition))
    assert row(world, petition).state == "answered"
    world.pass_time(ANSWER_MS)
    assert row(world, petition).state == "answered"


def test_a_couple_signs_once_for_its_home(world: World) -> None:
    petition = world.do("li", "petition.start", START)
    world.do("wang", "petition.sign", signing(petition, 1))
    assert world.refuse("zhao", "petition.sign", signing(petition, 1)) == "already_signed"


def test_starting_refusals_stand_in_their_order(world: World) -> None:
    body = {**START, "position": 2, "roll": "new"}
    published = roll_body("new")
    codes = [world.refuse("li", "petition.start", body)]
    world.do("officer-owners", "roll.publish", published)
    codes.append(world.refuse("li", "petition.start", body))
    world.do("officer-street", "roll.confirm", {"roll": "new", "root": published["root"]})
    codes.append(world.refuse("li", "petition.start", body))
    assert codes == [refusal.value for refusal in StartPetition.Refusal]


def test_signing_refusals_stand_in_their_order(world: World) -> None:
    answered = world.do("li", "petition.start", START)
    world.do("hu", "motion.propose", motion_body(world, petition=answered))
    petition = world.do("li", "petition.start", START)
    body = signing(NOBODY, 2, "other")
    codes = [world.refuse("li", "petition.sign", body)]
    body["petition"] = answered
    codes.append(world.refuse("li", "petition.sign", body))
    body["petition"] = petition
    codes.append(world.refuse("li", "petition.sign", body))
    body["roll"] = ROLL
    codes.append(world.refuse("li", "petition.sign", body))
    body["position"] = 0
    world.do("li", "petition.sign", body)
    codes.append(world.refuse("li", "petition.sign", body))
    assert codes == [refusal.value for refusal in SignPetition.Refusal]


def test_a_name_can_be_taken_back_until_the_petition_has_its_fifth(world: World) -> None:
    world.publish_roll("wide", [((name,), 500_000) for name in ("li", "wang", "chen", "zhou", "hu", "sun")])
    petition = world.do("li", "petition.start", {**START, "roll": "wide"})
    one, two = signing(petition, 0, "wide"), signing(petition, 1, "wide")
    codes = [world.refuse("li", "petition.withdraw", signing(NOBODY, 0))]
    codes.append(world.refuse("li", "petition.withdraw", signing(petition, 0)))
    codes.append(world.refuse("li", "petition.withdraw", one))
    world.do("li", "petition.sign", one)
    world.do("li", "petition.withdraw", one)
    assert (row(world, petition).heads, row(world, petition).area_cm2) == (0, 0)
    world.do("li", "petition.sign", one)
    world.do("wang", "petition.sign", two)
    codes.append(world.refuse("wang", "petition.withdraw", two))
    assert codes == [refusal.value for refusal in WithdrawSignature.Refusal]
    assert (row(world, petition).state, row(world, petition).heads) == ("reached", 2)
