"""The tally: recomputed from openings, in any order alike, with the result by law, final once sealed."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain import RULEBOOK
from server.domain.agenda import SealWait, Timer, due_item
from server.domain.ballot import Ballot
from server.domain.law.count import Count, sum_of
from server.domain.law.majority import Majority, Result
from server.domain.motion import TALLY, Motion, Question
from server.domain.plan import parse_items
from server.domain.roll import Head
from server.domain.tally import MissingOpening, QuestionTally, TallyResult, judge, tally_body
from server.ledger.merkle import EMPTY_ROOT, root_of
from server.limits import HOUR_MS, ROLL_HEADS_MAX, ROLL_PARTS_MAX
from server.record.canonical import Malformed, b64u_encode, digest, encode
from server.record.shape import parse, seal
from server.record.signature import commitment_of
from tests.domain.world import QUESTION, World, ballot_body, salt_of

CLOSE = HOUR_MS + 1_000


def motion_row(questions: list[dict[str, Any]]) -> Motion:
    text = encode(questions).decode()
    return Motion("m", "t", "", "other", "civil-code@2021-01-01", "r", 10, 1_000, text, 1, 2, "open", "hu", 0)


def ballot_of(position: int, value: Any, question: str = "q1", area_cm2: int = 100) -> tuple[Ballot, bytes]:
    """A ballot and its opening; `value` need not be a choice."""
    commitment, opening = seal(value, salt_of(f"{question} {position}"))
    name = f"m/{question}/{position}"
    return Ballot(name, "m", question, position, "rec", "li", commitment, area_cm2, 1, 0), opening


def totals(question: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {one["choice"]: (one["heads"], one["area_cm2"]) for one in question["choices"]}


def test_totals_by_choice_with_heads_and_area() -> None:
    cast = [ballot_of(0, ["for"]), ballot_of(1, ["against"], area_cm2=7), ballot_of(2, ["for"], area_cm2=50)]
    body = tally_body(motion_row([QUESTION]), [one for one, _ in cast], {one.commitment: text for one, text in cast})
    [question] = body["questions"]
    assert totals(question) == {"for": (2, 150), "against": (1, 7), "abstain": (0, 0)}
    assert question["openings_root"] == b64u_encode(root_of([opening for _, opening in cast]))
    assert question["void"] == {"area_cm2": 0, "heads": 0}
    parse(QuestionTally, question)


def test_the_tally_of_the_largest_possible_roll_can_be_ordered() -> None:
    """Else its timer would be due for ever, and no block could be proposed (RFC 8785: integers below 2^53)."""
    heads = ROLL_PARTS_MAX * ROLL_HEADS_MAX
    largest = msgspec.json.schema(Head)["$defs"]["Head"]["properties"]["area_cm2"]["maximum"]
    ballot, opening = ballot_of(0, ["for"], area_cm2=heads * largest)
    body = tally_body(motion_row([QUESTION]), [ballot], {ballot.commitment: opening})
    item = due_item(Timer(f"{TALLY}/m", CLOSE, TALLY, "m"), body)
    assert parse_items([item], "garden", (), RULEBOOK.find(1))
    assert parse(Head, {"area_cm2": largest, "leaf": digest(b""), "members": ["li"]})
    with pytest.raises(Malformed):
        parse(Head, {"area_cm2": largest + 1, "leaf": digest(b""), "members": ["li"]})


def test_no_ballot_at_all_is_a_tally_too() -> None:
    [question] = tally_body(motion_row([QUESTION]), [], {})["questions"]
    assert totals(question) == {"for": (0, 0), "against": (0, 0), "abstain": (0, 0)}
    assert question["openings_root"] == b64u_encode(EMPTY_ROOT)


@pytest.mark.parametrize(
    "value", ["for", ["yes"], [""], ["FOR"], [], {"choice": "for"}, 1, True, ["for\n"], ["for", "against"]]
)
def test_what_names_no_choice_is_void_and_takes_no_part(value: Any) -> None:
    ballot, opening = ballot_of(0, value)
    [question] = tally_body(motion_row([QUESTION]), [ballot], {ballot.commitment: opening})["questions"]
    assert question["void"] == {"area_cm2": 100, "heads": 1}
    assert set(totals(question).values()) == {(0, 0)}


@pytest.mark.parametrize("opening", [b"", b"short", bytes(16), bytes(16) + b"not json", bytes(16) + b'["for"] '])
def test_an_opening_that_cannot_be_read_is_void(opening: bytes) -> None:
    ballot = msgspec.structs.replace(ballot_of(0, ["for"])[0], commitment=commitment_of(opening))
    [question] = tally_body(motion_row([QUESTION]), [ballot], {ballot.commitment: opening})["questions"]
    assert question["void"] == {"area_cm2": 100, "heads": 1}
    assert question["openings_root"] == b64u_encode(root_of([opening]))


def test_a_missing_or_a_false_opening_stops_the_tally() -> None:
    ballot, opening = ballot_of(0, ["for"])
    for openings in ({}, {ballot.commitment: opening + b" "}, {ballot.commitment: ballot_of(1, ["for"])[1]}):
        with pytest.raises(MissingOpening) as caught:
            tally_body(motion_row([QUESTION]), [ballot], openings)
        assert caught.value.commitment == ballot.commitment


def test_the_order_of_ballots_does_not_matter() -> None:
    second = {**QUESTION, "id": "q2"}
    cast = [ballot_of(0, ["for"]), ballot_of(10, ["against"]), ballot_of(2, ["for"]), ballot_of(0, ["abstain"], "q2")]
    openings = {one.commitment: text for one, text in cast}
    bodies = {
        encode(tally_body(motion_row([QUESTION, second]), [one for one, _ in order], openings))
        for order in itertools.permutations(cast)
    }
    assert len(bodies) == 1
    [first, _] = json.loads(bodies.pop())["questions"]
    in_place = [opening for _, opening in (cast[0], cast[2], cast[1])]
    assert first["openings_root"] == b64u_encode(root_of(in_place))


choices = st.lists(st.tuples(st.sampled_from(["for", "against", "abstain", "else"]), st.integers(0, 50)), max_size=12)


@given(choices)
def test_every_head_is_counted_once(cast: list[tuple[str, int]]) -> None:
    made = [ballot_of(position, [choice], area_cm2=area) for position, (choice, area) in enumerate(cast)]
    body = tally_body(motion_row([QUESTION]), [one for one, _ in made], {one.commitment: text for one, text in made})
    [question] = body["questions"]
    counted = [*totals(question).values(), (question["void"]["heads"], question["void"]["area_cm2"])]
    assert sum(heads for heads, _ in counted) == len(cast)
    assert sum(area for _, area in counted) == sum(area for _, area in cast)
    for choice, (heads, area) in totals(question).items():
        assert heads == sum(1 for one, _ in cast if one == choice)
        assert area == sum(size for one, size in cast if one == choice)


def own_question(*ids: str) -> Question:
    return parse(Question, {"choices": [{"id": one, "text": one} for one in ids], "id": "q", "seats": 0, "text": "?"})


def equal(heads: int) -> Count:
    return Count(heads, heads * 10)


@pytest.mark.parametrize(
    ("red", "blue", "abstain", "expected"),
    [
        (6, 3, 1, (Result.PASSED, ("red",))),
        (3, 6, 1, (Result.PASSED, ("blue",))),
        (5, 5, 0, (Result.NOT_PASSED, ())),
        (2, 2, 6, (Result.NOT_PASSED, ())),
        (6, 0, 0, (Result.NO_QUORUM, ())),
        (0, 0, 0, (Result.NO_QUORUM, ())),
    ],
)
def test_an_option_is_chosen_by_more_than_half_and_abstaining_is_no_option(
    red: int, blue: int, abstain: int, expected: tuple[Result, tuple[str, ...]]
) -> None:
    counts = {"red": equal(red), "blue": equal(blue), "abstain": equal(abstain)}
    question, part = own_question("red", "blue", "abstain"), sum_of(counts.values())
    assert judge(question, Majority.ORDINARY, equal(10), part, counts) == expected


@pytest.mark.parametrize("majority", Majority)
def test_against_is_never_chosen(majority: Majority) -> None:
    counts = {"for": Count(), "against": equal(10), "abstain": Count()}
    question = own_question("for", "against", "abstain")
    assert judge(question, majority, equal(10), equal(10), counts) == (Result.NOT_PASSED, ())


ELECTION = {
    "choices": [{"id": one, "text": one} for one in ("c1", "c2", "c3", "abstain")],
    "id": "q1",
    "seats": 2,
    "text": "选举两名委员",
}


@pytest.mark.parametrize(
    ("value", "counted"),
    [
        (["c1"], {"c1"}),
        (["c3", "c1"], {"c1", "c3"}),
        (["abstain"], {"abstain"}),
        (["c1", "c2", "c3"], set()),
        (["c1", "c1"], set()),
        (["c1", "abstain"], set()),
        (["c9"], set()),
        ([], set()),
        ("c1", set()),
        ([1], set()),
    ],
)
def test_in_an_election_a_ballot_approves_of_as_many_as_there_are_seats(value: Any, counted: set[str]) -> None:
    ballot, opening = ballot_of(0, value)
    [question] = tally_body(motion_row([ELECTION]), [ballot], {ballot.commitment: opening})["questions"]
    assert {one for one, total in totals(question).items() if total == (1, 100)} == counted
    assert question["part"]["heads"] == bool(counted) and question["void"]["heads"] == (not counted)


def test_an_election_fills_its_seats(world: World) -> None:
    motion = world.open_motion(matter="committee", questions=[ELECTION])
    for member, position, picked in (("li", 0, ["c1", "c2"]), ("wang", 1, ["c1"]), ("chen", 2, ["c1", "c2"])):
        world.cast(member, motion, position, picked)
    world.cast("zhou", motion, 3, ["abstain"])
    world.block(after_ms=CLOSE)
    result = world.get(TallyResult, motion, "q1")
    assert result is not None
    assert (result.heads, result.result, result.chosen) == (4, "passed", "c1"), "c2 has two of four heads"


def vote(world: World, motion: str, **choices_by_member: str) -> None:
    """Members of the settled roll cast their ballots."""
    positions = {"li": 0, "wang": 1, "chen": 2, "zhou": 3}
    for member, choice in choices_by_member.items():
        world.cast(member, motion, positions[member], choice)


def test_at_the_close_the_motion_is_tallied_and_waits_for_the_seal(world: World) -> None:
    motion = world.open_motion()
    vote(world, motion, li="for", wang="against", chen="for")
    world.block(after_ms=CLOSE)
    row, result = world.get(Motion, motion), world.get(TallyResult, motion, "q1")
    assert row is not None and result is not None
    assert row.state == "tallied"
    assert json.loads(world.entries[row.tally_index])["system"]["kind"] == "motion.tally"
    assert (result.heads, result.area_cm2, result.electorate_heads) == (3, 4_600_000, 4)
    assert (result.result, result.chosen, result.majority) == ("passed", "for", "ordinary")
    assert json.loads(result.choices)[0] == {"area_cm2": 3_600_000, "choice": "for", "heads": 2}
    [wait] = world.all(SealWait)
    assert (wait.kind, wait.key, wait.index, wait.done) == ("motion.final", motion, row.tally_index, False)


@pytest.mark.parametrize(
    ("matter", "choices_by_member", "result"),
    [
        ("fund-use", {"li": "for", "wang": "for", "chen": "abstain"}, "not_passed"),
        ("fund-use", {"li": "for", "wang": "for", "zhou": "for"}, "no_quorum"),
        ("fund-use", {"li": "for", "chen": "for", "zhou": "perhaps"}, "no_quorum"),
        ("fund-raise", {"li": "for", "wang": "against", "chen": "for"}, "not_passed"),
        ("fund-raise", {"li": "for", "wang": "for", "chen": "for", "zhou": "against"}, "passed"),
        ("fund-use", {}, "no_quorum"),
    ],
)
def test_the_matter_decides_what_is_enough(
    world: World, matter: str, choices_by_member: dict[str, str], result: str
) -> None:
    motion = world.open_motion(matter=matter)
    vote(world, motion, **choices_by_member)
    world.block(after_ms=CLOSE)
    row = world.get(TallyResult, motion, "q1")
    assert row is not None and row.result == result


def test_a_replaced_ballot_counts_as_last_cast(world: World) -> None:
    motion = world.open_motion()
    first = world.cast("chen", motion, 2, "for")
    world.cast("chen", motion, 2, "against", replaces=first)
    vote(world, motion, li="for", wang="for")
    world.block(after_ms=CLOSE)
    row = world.get(TallyResult, motion, "q1")
    assert row is not None
    assert {one["choice"]: one["heads"] for one in json.loads(row.choices)} == {"for": 2, "against": 1, "abstain": 0}


def test_a_seal_past_the_tally_makes_it_final_and_an_earlier_one_does_not(world: World) -> None:
    motion = world.open_motion()
    before = world.copy()
    world.block(after_ms=CLOSE)
    earlier = before.seal_item()
    executed = world.execute([earlier], world.time_ms + 1)
    world.keep(executed)
    row = world.get(Motion, motion)
    assert row is not None and row.state == "tallied"
    world.block(after_ms=1_000, seals=True)
    row, [wait] = world.get(Motion, motion), world.all(SealWait)
    assert row is not None and row.state == "final"
    assert wait.done


def test_ballots_in_the_block_of_the_tally_are_too_late(world: World) -> None:
    motion = world.open_motion()
    record = world.record(
        "li",
        "ballot.cast",
        ballot_body(motion, 0),
    )
    assert world.block(record, after_ms=HOUR_MS - 1_000) == ["motion_closed"]
    row = world.get(TallyResult, motion, "q1")
    assert row is not None and row.heads == 0
