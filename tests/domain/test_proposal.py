"""Proposals: what a motion must bring, who announces it, and with how much notice."""

from __future__ import annotations

from typing import Any

import pytest

from server.domain.agenda import Timer
from server.domain.law.days import begin_of, day_of
from server.domain.motion import VOTING_MS_MIN, Motion, Turnout, questions_of
from server.domain.photo import Document
from server.domain.proposal import ApproveMotion, ProposeMotion
from server.limits import DAY_MS, HOUR_MS
from tests.domain.test_motion import question
from tests.domain.test_procedure import adopt
from tests.domain.test_ticket import REPORT
from tests.domain.world import QUESTION, ROLL, World, motion_body, photo, roll_body

NOBODY = "A" * 43


def approval(motion: str, **changes: str) -> dict[str, str]:
    return {"motion": motion, "petition": "", "roll": ROLL, **changes}


def lawful(world: World, **changes: Any) -> dict[str, Any]:
    """A motion under the Civil Code with sixteen days ahead."""
    opens_ms = world.time_ms + 16 * DAY_MS
    times = {"opens_ms": opens_ms, "close_ms": opens_ms + 10 * DAY_MS, "rule_pack": "civil-code@2021-01-01"}
    return motion_body(world, **times, **changes)


def state(world: World, motion: str) -> str:
    row = world.get(Motion, motion)
    assert row is not None
    return row.state


def test_a_motion_freezes_its_roll_and_arms_its_times(world: World) -> None:
    motion_id = world.propose_motion(opens_ms=world.time_ms + HOUR_MS, close_ms=world.time_ms + 2 * HOUR_MS)
    motion = world.get(Motion, motion_id)
    assert motion is not None
    assert (motion.roll, motion.roll_heads, motion.roll_area_cm2) == (ROLL, 4, 5_400_000)
    assert (motion.state, motion.proposed_by, motion.announced_ms) == ("announced", "hu", world.time_ms)
    assert questions_of(motion)[0].choice_ids() == ("for", "against", "abstain")
    assert world.get(Turnout, motion_id, "q1") == Turnout(f"{motion_id}/q1", motion_id, "q1", 0, 0)
    timers = {timer.kind: (timer.due_ms, timer.done) for timer in world.all(Timer, key=motion_id)}
    assert timers == {"motion.open": (motion.opens_ms, False), "motion.tally": (motion.close_ms, False)}


def test_a_motion_opens_by_itself_at_its_time(world: World) -> None:
    motion = world.propose_motion(opens_ms=world.time_ms + HOUR_MS, close_ms=world.time_ms + 2 * HOUR_MS)
    row = world.get(Motion, motion)
    assert row is not None
    world.pass_time(row.opens_ms - 1 - world.time_ms)
    assert state(world, motion) == "announced"
    world.pass_time(1)
    assert state(world, motion) == "open"


def test_proposal_refusals_stand_in_their_order(world: World) -> None:
    """Every fault at once; each refusal names the first, and it is mended."""
    published = roll_body("new")
    body = motion_body(
        world,
        budget=[photo("secret")],
        close_ms=world.time_ms,
        matter="colour",
        petition=NOBODY,
        questions=[question("q1", "yes", "no")],
        roll="new",
        rule_pack="civil-code@2021-01-01",
    )
    world.do("li", "ticket.report", {**REPORT, "photos": [photo("secret")]})
    codes = [world.refuse("hu", "motion.propose", body)]
    world.do("officer-owners", "roll.publish", published)
    opens_ms = world.time_ms + 16 * DAY_MS
    codes.append(world.refuse("hu", "motion.propose", body))
    body["matter"] = "fund-use"
    codes.append(world.refuse("hu", "motion.propose", body))
    adopt(world, "hu")
    for mended in (
        {"petition": ""},
        {"close_ms": opens_ms + 10 * DAY_MS},
        {"questions": [QUESTION]},
        {"budget": [photo("own")]},
        {"opens_ms": opens_ms},
    ):
        codes.append(world.refuse("hu", "motion.propose", body))
        body.update(mended)
    codes.append(world.refuse("hu", "motion.propose", body))
    assert codes == [refusal.value for refusal in ProposeMotion.Refusal]
    world.do("officer-street", "roll.confirm", {"roll": "new", "root": published["root"]})
    world.do("hu", "motion.propose", body)


@pytest.mark.parametrize(("over_ms", "accepted"), [(0, False), (1, True)])
def test_a_motion_is_open_for_more_than_a_minute(world: World, over_ms: int, accepted: bool) -> None:
    at_ms = world.time_ms + 1_000
    body = motion_body(world, close_ms=at_ms + VOTING_MS_MIN + over_ms)
    outcomes = world.block(world.record("hu", "motion.propose", body), after_ms=1_000)
    assert outcomes == ["accepted" if accepted else "closes_too_soon"]


def test_a_matter_of_another_pack_is_not_found(world: World) -> None:
    adopt(world, "hu")
    assert world.refuse("hu", "motion.propose", lawful(world, matter="area-change")) == "matter_not_found"
    world.do("hu", "motion.propose", lawful(world, matter="area-change") | {"rule_pack": "shanghai@2020-12-30"})
    assert (
        world.refuse("hu", "motion.propose", motion_body(world, rule_pack="atlantis@2020-01-01")) == "matter_not_found"
    )


@pytest.mark.parametrize("author", ["li", "sun", "ma", "officer-street"])
def test_only_the_committee_proposes_motions(world: World, author: str) -> None:
    assert world.refuse(author, "motion.propose", motion_body(world)) == "role_missing"


@pytest.mark.parametrize(("days", "accepted"), [(14, False), (15, True), (16, True)])
def test_fifteen_days_of_notice_are_counted_from_the_day_after(world: World, days: int, accepted: bool) -> None:
    """V16: announced on day 0, the earliest opening is on day 15, whatever the hour (Civil Code 201)."""
    adopt(world, "hu")
    midnight_ms = begin_of(day_of(world.time_ms) + days)
    body = lawful(world) | {"opens_ms": midnight_ms, "close_ms": midnight_ms + 10 * DAY_MS}
    outcomes = world.block(world.record("hu", "motion.propose", body))
    assert outcomes == ["accepted" if accepted else "notice_too_short"]


def test_the_pages_of_a_motion_are_documents_for_all_owners(world: World) -> None:
    pages = {"budget": [photo("b1"), photo("b2")], "contract": [photo("c")], "quotes": []}
    motion = world.propose_motion(**pages)
    filed = {(row.kind, row.page, row.photo) for row in world.all(Document, subject=motion)}
    assert filed == {
        ("budget", 0, photo("b1")["sha256"]),
        ("budget", 1, photo("b2")["sha256"]),
        ("contract", 0, photo("c")["sha256"]),
    }


@pytest.fixture
def committee(world: World) -> World:
    """Five members, of whom three must sign."""
    for member in ("he", "lu", "shi", "zhang"):
        world.grant(member, "committee", "owners")
    return world


def test_more_than_half_of_all_members_announce_a_motion(committee: World) -> None:
    """V17: of five three."""
    motion = committee.propose_motion()
    assert state(committee, motion) == "proposed"
    committee.do("he", "motion.approve", approval(motion))
    assert (state(committee, motion), committee.all(Timer, key=motion)) == ("proposed", [])
    committee.do("lu", "motion.approve", approval(motion))
    assert state(committee, motion) == "announced"
    committee.block()
    assert state(committee, motion) == "open"


def test_who_left_the_committee_no_longer_counts(committee: World) -> None:
    motion = committee.propose_motion()
    committee.do("he", "motion.approve", approval(motion))
    for officer in ("officer-owners", "officer-street"):
        committee.do(officer, "role.revoke", {"member": "he", "organisation": "owners", "role": "committee"})
    committee.do("lu", "motion.approve", approval(motion))
    assert state(committee, motion) == "proposed", "two of four"
    committee.do("shi", "motion.approve", approval(motion))
    assert state(committee, motion) == "announced", "three of four"


def test_approval_refusals_stand_in_their_order(committee: World) -> None:
    published = roll_body("new")
    committee.do("officer-owners", "roll.publish", published)
    motion = committee.propose_motion(roll="new", close_ms=committee.time_ms + 3 * HOUR_MS)
    cancelled = committee.propose_motion(roll="new")
    for member in ("hu", "he", "lu"):
        committee.do(member, "motion.cancel", {"motion": cancelled, "reason": "另行安排"})
    body = approval(NOBODY)
    codes = [committee.refuse("hu", "motion.approve", body)]
    body["motion"] = cancelled
    codes.append(committee.refuse("hu", "motion.approve", body))
    body["roll"] = "new"
    codes.append(committee.refuse("hu", "motion.approve", body))
    body["motion"] = motion
    codes.append(committee.refuse("hu", "motion.approve", body))
    codes.append(committee.copy().refuse("he", "motion.approve", body, after_ms=4 * HOUR_MS, made_ms=LATER))
    committee.do("he", "motion.approve", body)
    codes.append(committee.refuse("lu", "motion.approve", body))
    assert codes == [refusal.value for refusal in ApproveMotion.Refusal]
    committee.do("officer-street", "roll.confirm", {"roll": "new", "root": published["root"]})
    committee.do("lu", "motion.approve", body)
    assert state(committee, motion) == "announced"


LATER = 1_750_000_000_000 + 4 * HOUR_MS
