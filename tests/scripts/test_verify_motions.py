"""The verifier's own life of motions and petitions: it agrees with the rules, and names the entry that lies."""

from __future__ import annotations

from functools import cache

from server.domain.petition import ANSWER_MS
from server.limits import DAY_MS
from tests.domain.test_procedure import adopt
from tests.domain.test_proposal import approval, lawful
from tests.domain.world import ROLL, World, settled_world
from tests.scripts.test_verify_ballots import cut, replaced, voted
from tests.scripts.verified import Change, by_author, examine, lie, places, said


@cache
def governed() -> World:
    """A committee of three: rules, a petition that is answered, one that is not, and motions of every fate."""
    world = settled_world()
    for member in ("he", "lu"):
        world.grant(member, "committee", "owners")
    adopt(world, "hu", "lu")
    start = {"position": 0, "roll": ROLL, "text": "", "title": "更换物业"}
    answered, late = (world.do("li", "petition.start", start) for _ in range(2))
    for petition in (answered, late):
        world.do("li", "petition.sign", {"petition": petition, "position": 0, "roll": ROLL})
    motion = world.do("hu", "motion.propose", lawful(world, petition=answered))
    world.do("he", "motion.approve", approval(motion, petition=answered))
    cancelled = world.propose_motion()
    for member in ("hu", "he"):
        world.do(member, "motion.cancel", {"motion": cancelled, "reason": "另行公告"})
    world.pass_time(17 * DAY_MS)
    extension = {"close_ms": world.time_ms + 20 * DAY_MS, "motion": motion, "reason": "人数不足"}
    for member in ("lu", "hu"):
        world.do(member, "motion.extend", extension)
    world.cast("li", motion, 0)
    world.pass_time(20 * DAY_MS)
    world.pass_time(ANSWER_MS)
    return world


def test_an_honest_life_of_motions_and_petitions_passes() -> None:
    world = governed()
    report = examine(world.entries, world.openings)
    assert report.exit_code() == 0, "\n".join(report.lines())
    assert "1 motions cancelled, 1 motions tallied" in said(report, "motions")
    assert "2 petitions, 2 with a fifth" in said(report, "petitions")


def authored(place: int, author: str) -> Change:
    return lambda entries: [*entries[:place], by_author(entries[place], author), *entries[place + 1 :]]


def test_every_lie_about_the_life_of_a_motion_is_found_and_its_entry_named() -> None:
    honest = governed().entries
    proposed, dropped = places(honest, "motion.propose")
    [approved], [opened], [tally] = (places(honest, kind) for kind in ("motion.approve", "motion.open", "motion.tally"))
    extended, cancelled = places(honest, "motion.extend"), places(honest, "motion.cancel")
    lies: dict[str, tuple[Change, int, str]] = {
        "notice cut short": (replaced(proposed, opens_ms=1), proposed, "less than 15 days"),
        "a motion without a roll": (replaced(proposed, roll="roll-x"), proposed, "not there"),
        "one signature opens it": (cut(approved), opened - 1, "not announced"),
        "the same person signs twice": (authored(approved, "hu"), approved, "a second one"),
        "another roll is signed": (replaced(approved, roll="roll-x"), approved, "another petition or roll"),
        "an opening twice": (lambda all_: [*all_[: opened + 1], *all_[opened:]], opened + 1, "not announced"),
        "an opening left out": (cut(opened), opened + 1, "lacks the opening"),
        "a tally twice": (lambda all_: [*all_[: tally + 1], *all_[tally:]], tally + 1, "not open"),
        "a tally left out": (cut(tally), tally + 1, "lacks the tally"),
        "extended by one": (cut(extended[1]), tally - 1, "another time"),
        "extended backwards": (replaced(extended[0], close_ms=1), extended[0], "to a later time"),
        "cancelled after the end": (replaced(cancelled[1], motion="A" * 43), cancelled[1], "no motion"),
        "an unknown pack": (replaced(dropped, rule_pack="atlantis"), dropped, "not known here"),
    }
    for name, (change, place, word) in lies.items():
        line = said(examine(lie(honest, change)), "motions")
        assert line.startswith("FAILED") and f"entry {place}: " in line and word in line, (name, line)


def test_every_lie_about_petitions_is_found_and_its_entry_named() -> None:
    honest = governed().entries
    started, signed = places(honest, "petition.start"), places(honest, "petition.sign")
    [overdue] = places(honest, "petition.overdue")
    lies: dict[str, tuple[Change, int, str]] = {
        "a stranger asks": (replaced(started[0], position=2), started[0], "li is not of head 2"),
        "another's head signs": (replaced(signed[0], position=2), signed[0], "li is not of head 2"),
        "a head signs twice": (lambda all_: [*all_[: signed[0] + 1], *all_[signed[0] :]], signed[0] + 1, "signs twice"),
        "under no petition": (replaced(signed[1], petition="A" * 43), signed[1], "no open petition"),
        "overdue without a fifth": (cut(signed[1]), overdue - 1, "does not run"),
    }
    for name, (change, place, word) in lies.items():
        line = said(examine(lie(honest, change)), "petitions")
        assert line.startswith("FAILED") and f"entry {place}: " in line and word in line, (name, line)


def test_a_vote_without_these_kinds_says_so() -> None:
    assert "0 petitions" in said(examine(voted().entries), "petitions")
