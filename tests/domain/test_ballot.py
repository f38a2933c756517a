"""Ballots: one a head and question, replaced only by who cast it, counted only before the close."""

from __future__ import annotations

from typing import Any

import pytest

from server.domain.ballot import Ballot, BallotCommitment, CastBallot
from server.domain.motion import Motion, Turnout
from server.limits import DAY_MS, HOUR_MS
from server.record.canonical import digest
from tests.domain.world import ROLL, World, ballot_body, record_id

NOBODY = digest(b"no such record")


@pytest.fixture
def motion(world: World) -> str:
    return world.open_motion()


def turnout(world: World, motion: str) -> tuple[int, int]:
    row = world.get(Turnout, motion, "q1")
    assert row is not None
    return row.heads, row.area_cm2


def test_a_ballot_counts_its_head_with_its_area(world: World, motion: str) -> None:
    record = world.cast("chen", motion, 2)
    ballot = world.get(Ballot, motion, "q1", "2")
    assert ballot is not None
    assert (ballot.record, ballot.member, ballot.area_cm2, ballot.replaced) == (record, "chen", 2_700_000, 0)
    assert turnout(world, motion) == (1, 2_700_000)


def refuse_before_the_opening(world: World, body: dict[str, Any]) -> str:
    announced = world.propose_motion(opens_ms=world.time_ms + HOUR_MS, close_ms=world.time_ms + 2 * HOUR_MS)
    return world.refuse("chen", "ballot.cast", {**body, "motion": announced})


def test_refusals_stand_in_their_order(world: World, motion: str) -> None:
    """Every fault at once; each refusal names the first, and it is mended."""
    world.publish_roll("other", [(("li",), 1)])
    world.bind("li", "li-2", nodes=("owners",))
    close_ms = world.time_ms + HOUR_MS
    late = {"after_ms": HOUR_MS, "made_ms": close_ms}
    body = ballot_body(NOBODY, 0, question="q9", roll="other", replaces=NOBODY)

    codes = [world.copy().refuse("chen", "ballot.cast", body, **late)]
    body.update(motion=motion)
    codes.append(refuse_before_the_opening(world.copy(), body))
    codes.append(world.copy().refuse("chen", "ballot.cast", body, **late))
    codes.append(world.refuse("chen", "ballot.cast", body))
    body.update(question="q1")
    codes.append(world.refuse("chen", "ballot.cast", body))
    body.update(roll=ROLL)
    codes.append(world.refuse("chen", "ballot.cast", body))
    codes.append(world.refuse("li", "ballot.cast", body, signer="li-2"))
    world.bind("li", "li-2", nodes=("street",))
    codes.append(world.refuse("li", "ballot.cast", body, signer="li-2"))
    first = world.cast("li", motion, 0)
    codes.append(world.refuse("li", "ballot.cast", body))
    codes.append(world.refuse("chen", "ballot.cast", {**body, "position": 2}))
    copied = world.get(Ballot, motion, "q1", "0")
    assert copied is not None and copied.record == first
    codes.append(refuse_copy(world, "chen", ballot_body(motion, 2), copied.commitment))
    assert codes == [refusal.value for refusal in CastBallot.Refusal]


def refuse_copy(world: World, author: str, body: dict[str, object], commitment: str) -> str:
    """A ballot with a neighbour's commitment; its author does not know what it says."""
    twin = world.copy()
    twin.commit = lambda kind, given: {**given, "choice": commitment}  # type: ignore[method-assign]
    return twin.refuse(author, "ballot.cast", body)


def test_the_last_millisecond_counts_and_the_next_does_not(world: World, motion: str) -> None:
    row = world.get(Motion, motion)
    assert row is not None
    body = ballot_body(motion, 0)
    for before_ms, outcome in ((1, "accepted"), (0, "motion_closed")):
        twin = world.copy()
        after_ms = row.close_ms - before_ms - twin.time_ms
        record = twin.record("li", "ballot.cast", body, made_ms=row.close_ms - 10)
        assert twin.block(record, after_ms=after_ms) == [outcome]


def test_the_block_time_decides_and_not_the_phones_clock(world: World, motion: str) -> None:
    row = world.get(Motion, motion)
    assert row is not None
    early = world.record("li", "ballot.cast", ballot_body(motion, 0), made_ms=row.close_ms - HOUR_MS // 2)
    assert world.block(early, after_ms=HOUR_MS) == ["motion_closed"]


def test_a_couple_has_one_ballot_and_the_second_is_told_so(world: World, motion: str) -> None:
    """V10: wife and husband own one home together."""
    first = world.cast("wang", motion, 1, "for")
    assert world.refuse("zhao", "ballot.cast", ballot_body(motion, 1, "against")) == "ballot_already_cast"
    replacing = ballot_body(motion, 1, "against", replaces=first)
    assert world.refuse("zhao", "ballot.cast", replacing) == "ballot_already_cast"
    assert turnout(world, motion) == (1, 1_000_000)


def test_the_couple_in_one_block_has_one_ballot(world: World, motion: str) -> None:
    both = [world.record(who, "ballot.cast", ballot_body(motion, 1)) for who in ("zhao", "wang")]
    assert world.block(*both) == ["accepted", "ballot_already_cast"]
    ballot = world.get(Ballot, motion, "q1", "1")
    assert ballot is not None and ballot.member == "zhao"


def test_an_owner_of_three_homes_has_one_ballot(world: World, motion: str) -> None:
    """V9: 同意, 同意, 反对 from his three homes: the further ones are refused, not split."""
    world.cast("chen", motion, 2, "for")
    for choice in ("for", "against"):
        assert world.refuse("chen", "ballot.cast", ballot_body(motion, 2, choice)) == "ballot_already_cast"
    assert turnout(world, motion) == (1, 2_700_000)


def test_a_ballot_that_names_the_counted_one_replaces_it(world: World, motion: str) -> None:
    first = world.cast("li", motion, 0, "for")
    second = world.cast("li", motion, 0, "against", replaces=first)
    third = world.cast("li", motion, 0, "abstain", replaces=second)
    ballot = world.get(Ballot, motion, "q1", "0")
    assert ballot is not None and (ballot.record, ballot.replaced) == (third, 2)
    assert turnout(world, motion) == (1, 900_000)


def test_a_ballot_that_names_an_earlier_one_is_refused(world: World, motion: str) -> None:
    first = world.cast("li", motion, 0, "for")
    world.cast("li", motion, 0, "against", replaces=first)
    late = ballot_body(motion, 0, "for", replaces=first)
    assert world.refuse("li", "ballot.cast", late) == "ballot_already_cast"


def test_each_question_has_its_own_ballot(world: World) -> None:
    question = {"choices": [{"id": one, "text": one} for one in ("for", "against", "abstain")], "seats": 0, "text": "?"}
    motion = world.open_motion(questions=[{**question, "id": "q1"}, {**question, "id": "q2"}])
    world.cast("li", motion, 0)
    world.cast("li", motion, 0, question="q2")
    assert turnout(world, motion) == (1, 900_000)


def test_a_new_key_votes_after_its_delay(world: World) -> None:
    motion = world.open_motion(close_ms=world.time_ms + 2 * DAY_MS)
    world.bind("li", "li-2")
    body = ballot_body(motion, 0)
    assert world.refuse("li", "ballot.cast", body, signer="li-2") == "device_too_new"
    bound_ms = world.time_ms - 1_000
    early = world.record("li", "ballot.cast", body, signer="li-2", made_ms=bound_ms + DAY_MS - 10)
    assert world.copy().block(early, after_ms=bound_ms + DAY_MS - 1 - world.time_ms) == ["device_too_new"]
    assert world.block(early, after_ms=bound_ms + DAY_MS - world.time_ms) == ["accepted"]


def test_what_is_on_the_ledger_does_not_say_the_choice(world: World) -> None:
    """Decisions 19: the same but for the choice, and nothing but a salted hash differs."""

    def trace(choice: str) -> str:
        twin = world.copy()
        motion = twin.open_motion()
        twin.cast("li", motion, 0, choice)
        ballot = twin.get(Ballot, motion, "q1", "0")
        assert ballot is not None
        rows = repr(sorted((name, twin.rows[name]) for name in twin.rows.keys() - world.rows.keys()))
        return rows.replace(ballot.commitment, "COMMITMENT").replace(ballot.record, "RECORD")

    assert trace("for") == trace("against")


def test_a_commitment_is_used_once_also_by_its_author(world: World, motion: str) -> None:
    first = world.cast("li", motion, 0)
    ballot = world.get(Ballot, motion, "q1", "0")
    assert ballot is not None
    assert world.get(BallotCommitment, ballot.commitment) == BallotCommitment(ballot.commitment, first)
    again = ballot_body(motion, 0, replaces=first)
    assert refuse_copy(world, "li", again, ballot.commitment) == "commitment_already_used"


def test_points_do_not_touch_votes(world: World) -> None:
    """Product 2.4 N3: with and without points, the same rows but for the books."""

    def votes(amount: int) -> list[object]:
        twin = world.copy()
        motion = twin.open_motion()
        grant = {"activity": "clean-up", "member": "li", "programme": "green", "reason": "thanks"}
        if amount:
            twin.block(twin.record("sun", "points.grant", {**grant, "amount": amount}, nonce="A" * 22), after_ms=0)
        record = twin.record("li", "ballot.cast", ballot_body(motion, 0), nonce="B" * 21 + "A")
        assert twin.block(record) == ["accepted"]
        assert all(one.table not in ("account", "transfer") for one in twin.plan([record.encode()])[0][0].keys)
        ballots = [(one.position, one.area_cm2, one.replaced) for one in twin.all(Ballot)]
        return [ballots, turnout(twin, motion), record_id(record)]

    with_points, without = votes(10_000), votes(0)
    assert with_points[:2] == without[:2]
