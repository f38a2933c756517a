"""The verifier's own count of votes: it agrees with the server's rules, and names the entry that cannot be."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import verify
from server.domain.tally import TallyResult
from server.limits import HOUR_MS
from tests.domain.world import World, ballot_body, settled_world
from tests.scripts.verified import (
    Change,
    Entry,
    by_author,
    examine,
    lie,
    lines_of,
    payload_of,
    places,
    said,
    with_body,
)
from verifier.encoding import Rejected
from verifier.law import Count, result_of
from verifier.tallies import parse_openings


@cache
def voted() -> World:
    """A vote of four heads: for, against replaced by for, void, and a husband too late; then it is counted."""
    world = settled_world()
    motion = world.open_motion()
    world.cast("li", motion, 0, "for")
    first = world.cast("wang", motion, 1, "against")
    assert world.refuse("zhao", "ballot.cast", ballot_body(motion, 1)) == "ballot_already_cast"
    assert world.refuse("li", "ballot.cast", ballot_body(motion, 2)) == "not_on_roll"
    world.cast("wang", motion, 1, "for", replaces=first)
    world.cast("chen", motion, 2, "against")
    world.cast("zhou", motion, 3, "nonsense")
    late = world.record("chen", "ballot.cast", ballot_body(motion, 2), expires_ms=world.time_ms + 3 * HOUR_MS)
    assert world.block(late, after_ms=2 * HOUR_MS) == ["motion_closed"]
    return world


def tally_of(entries: list[bytes]) -> int:
    [place] = places(entries, "motion.tally")
    return place


def test_a_tally_is_recounted_from_all_openings_and_its_result_said() -> None:
    world = voted()
    report = examine(world.entries, world.openings)
    assert report.exit_code() == 0, "\n".join(report.lines())
    line = said(report, "tallies")
    assert "choices recounted from all openings" in line
    assert "not passed by law, of 4 heads, 540.00 m2: for 2 heads, 190.00 m2; against 1 heads, 270.00 m2" in line
    assert "void 1 heads, 80.00 m2" in line


def test_without_openings_the_sums_are_checked_and_the_choices_said_to_be_unchecked() -> None:
    report = examine(voted().entries)
    assert (report.exit_code(), report.exit_code(["ballots", "rolls"])) == (2, 0)
    line = said(report, "tallies")
    assert line.startswith("NOT CHECKED") and "the choices of 4 ballots NOT CHECKED" in line


def retallied(change: dict[str, tuple[int, int]], place: int) -> Change:
    """The tally with other heads and areas added to choices."""

    def apply(entries: list[Entry]) -> list[Entry]:
        [question] = entries[place]["system"]["body"]["questions"]
        for total in [*question["choices"], question["void"] | {"choice": "void"}]:
            heads, area = change.get(total["choice"], (0, 0))
            total["heads"], total["area_cm2"] = total["heads"] + heads, total["area_cm2"] + area
            part = question["part"]
            if total["choice"] != "void":
                part["heads"], part["area_cm2"] = part["heads"] + heads, part["area_cm2"] + area
        return entries

    return apply


@pytest.mark.parametrize("has_openings", [False, True])
@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"for": (1, 0)}, "it counts 5 heads"),
        ({"against": (0, 1)}, "the ballots are 4 heads"),
        ({"for": (1, 0), "against": (-1, 0)}, ""),
        ({"for": (0, -1), "against": (0, 1)}, ""),
    ],
)
def test_a_tally_off_by_one_is_found(change: dict[str, tuple[int, int]], word: str, has_openings: bool) -> None:
    """Also when nobody gives openings: no ballots of these heads have such areas."""
    world = voted()
    place = tally_of(world.entries)
    report = examine(lie(world.entries, retallied(change, place)), world.openings if has_openings else None)
    line = said(report, "tallies")
    assert line.startswith("FAILED") and f"entry {place}: tally of" in line and word in line
    assert report.exit_code(["tallies"]) == 1


def test_a_ballot_moved_to_another_choice_is_found_by_its_opening_alone() -> None:
    world = voted()
    place = tally_of(world.entries)
    moved = lie(world.entries, retallied({"for": (1, 2_700_000), "against": (-1, -2_700_000)}, place))
    assert said(examine(moved), "tallies").startswith("NOT CHECKED")
    assert f"entry {place}" in said(examine(moved, world.openings), "tallies")
    against = [name for name, opening in world.openings.items() if opening.endswith(b'["against"]')]
    assert len(against) > 1
    only = {name: world.openings[name] for name in against}
    assert said(examine(moved, only), "tallies").startswith("FAILED")


def test_an_opening_that_was_exchanged_is_found_by_the_root() -> None:
    world = voted()
    place = tally_of(world.entries)

    def change(entries: list[Entry]) -> list[Entry]:
        entries[place]["system"]["body"]["questions"][0]["openings_root"] = "A" * 43
        return entries

    line = said(examine(lie(world.entries, change), world.openings), "tallies")
    assert line.startswith("FAILED") and "openings_root" in line


def replaced(place: int, **changes: object) -> Change:
    return lambda entries: [*entries[:place], with_body(entries[place], **changes), *entries[place + 1 :]]


def decided(place: int, outcome: str) -> Change:
    return lambda entries: [*entries[:place], entries[place] | {"outcome": outcome}, *entries[place + 1 :]]


def cut(place: int) -> Change:
    return lambda entries: entries[:place] + entries[place + 1 :]


def test_every_lie_about_ballots_is_found_and_its_entry_named() -> None:
    honest = voted().entries
    cast = places(honest, "ballot.cast")
    [second] = places(honest, "ballot.cast", "ballot_already_cast")
    [stranger] = places(honest, "ballot.cast", "not_on_roll")
    [late] = places(honest, "ballot.cast", "motion_closed")
    lies: dict[str, tuple[Change, int, str]] = {
        "a second ballot counts": (decided(second, "accepted"), second, "ballot_already_cast"),
        "a stranger's ballot counts": (decided(stranger, "accepted"), stranger, "not_on_roll"),
        "a late ballot counts": (decided(late, "accepted"), late, "motion_closed"),
        "a good ballot refused": (decided(cast[0], "not_on_roll"), cast[0], "accepted"),
        "a ballot doubled": (lambda all_: [*all_[: cast[0] + 1], *all_[cast[0] :]], cast[0] + 1, "already_cast"),
        "another position": (replaced(cast[0], position=3), cast[0], "li is not of head 3"),
        "another roll": (replaced(cast[0], roll="roll-x"), cast[0], "roll_differs"),
        "another motion": (replaced(cast[0], motion="A" * 43), cast[0], "motion_not_found"),
        "another question": (replaced(cast[0], question="q9"), cast[0], "question_not_found"),
        "nothing to replace": (replaced(cast[0], replaces="A" * 43), cast[0], "replaced_ballot_not_found"),
    }
    for name, (change, place, word) in lies.items():
        report = examine(lie(honest, change))
        line = said(report, "ballots")
        assert line.startswith("FAILED") and f"entry {place}: " in line and word in line, (name, line)
        assert said(report, "tallies").startswith("NOT CHECKED"), name
        assert report.exit_code(["ballots"]) == 1


def test_a_copied_commitment_is_found() -> None:
    honest = voted().entries
    first, *_, last = places(honest, "ballot.cast")

    def change(entries: list[Entry]) -> list[Entry]:
        return [
            *entries[:last],
            with_body(entries[last], choice=body_of(entries[first])["choice"]),
            *entries[last + 1 :],
        ]

    assert f"entry {last}: a ballot accepted" in said(examine(lie(honest, change)), "ballots")


def body_of(entry: Entry) -> Any:
    return payload_of(entry)["body"]


def test_rolls_that_were_changed_or_confirmed_by_nobody_are_found() -> None:
    honest = voted().entries
    [published], [confirmed] = places(honest, "roll.publish"), places(honest, "roll.confirm")

    def grow(entries: list[Entry]) -> list[Entry]:
        heads = body_of(entries[published])["heads"]
        return replaced(published, heads=[*heads, heads[0]])(entries)

    def shrink_area(entries: list[Entry]) -> list[Entry]:
        heads = [dict(head) for head in body_of(entries[published])["heads"]]
        heads[0]["area_cm2"] = 1
        return replaced(published, heads=heads)(entries)

    for change in (grow, shrink_area):
        line = said(examine(lie(honest, change)), "rolls")
        assert line.startswith("FAILED") and f"entry {published}: " in line and "another root" in line
    line = said(examine(lie(honest, replaced(confirmed, root="A" * 43))), "rolls")
    assert f"entry {confirmed}: " in line
    report = examine(lie(honest, cut(confirmed)))
    assert "not in force" in said(report, "motions")
    same = lie(
        honest, lambda all_: [*all_[:confirmed], by_author(all_[confirmed], "officer-owners"), *all_[confirmed + 1 :]]
    )
    assert "owners confirmed roll" in said(examine(same), "rolls")


def test_a_vote_by_a_device_that_one_organisation_attests_is_found() -> None:
    world = settled_world()
    motion = world.open_motion()
    world.bind("li", signer="li's tablet", nodes=["street"])
    ballot = world.record("li", "ballot.cast", ballot_body(motion, 0), signer="li's tablet")
    assert world.block(ballot) == ["device_not_verified"]
    world.bind("li", signer="li's new phone")
    ballot = world.record("li", "ballot.cast", ballot_body(motion, 0), signer="li's new phone")
    assert world.block(ballot) == ["device_too_new"]
    assert examine(world.entries).exit_code() == 0
    for outcome in ("device_not_verified", "device_too_new"):
        [place] = places(world.entries, "ballot.cast", outcome)
        line = said(examine(lie(world.entries, decided(place, "accepted"))), "roles")
        assert line.startswith("FAILED") and f"entry {place}: " in line and outcome in line


@pytest.mark.parametrize("seed", range(5))
def test_the_count_agrees_with_the_rules_of_the_server_on_any_vote(seed: int) -> None:
    """Random ballots, most of them refused: every outcome, total and result is that of the server's rules."""
    chance = random.Random(seed)
    world = settled_world()
    matters = ["fund-use", "fund-raise", "rebuild", "manager"]
    motions = [world.open_motion(matter=chance.choice(matters)) for _ in range(2)]
    for _ in range(30):
        motion, voter = chance.choice(motions), chance.choice(["li", "wang", "zhao", "chen", "zhou"])
        position = chance.randrange(4)
        counted = [
            row for key, row in world.rows.items() if (key.table, key.id) == ("ballot", f"{motion}/q1/{position}")
        ]
        replaces = counted[0].record if counted and chance.random() < 0.7 else ""  # type: ignore[attr-defined]
        body = ballot_body(
            motion, position, chance.choice(["for", "for", "against", "abstain", "?"]), replaces=replaces
        )
        world.block(world.record(voter, "ballot.cast", body))
    world.block(after_ms=2 * HOUR_MS)
    report = examine(world.entries, world.openings)
    assert report.exit_code() == 0, "\n".join(report.lines())
    for row in world.all(TallyResult):
        assert f"entry {row.index}, question q1: {row.result.replace('_', ' ')} by law" in said(report, "tallies")


@pytest.mark.parametrize(
    ("matter", "electorate", "agree", "against", "result"),
    [
        ("fund-use", 100, 34, 33, "passed"),
        ("fund-use", 100, 33, 34, "not passed"),
        ("fund-use", 100, 66, 0, "no quorum"),
        ("fund-use", 99, 33, 33, "not passed"),
        ("fund-use", 99, 34, 32, "passed"),
        ("rebuild", 100, 60, 20, "passed"),
        ("rebuild", 100, 59, 21, "not passed"),
        ("fund-use", 0, 1, 0, "undetermined"),
    ],
)
def test_the_law_is_counted_in_whole_numbers(
    matter: str, electorate: int, agree: int, against: int, result: str
) -> None:
    totals = {"for": Count(agree, agree * 100), "against": Count(against, against * 100), "abstain": Count()}
    assert result_of(("civil-code@2021-01-01", matter), Count(electorate, electorate * 100), totals) == result


def test_heads_alone_or_area_alone_do_not_pass() -> None:
    """V7 and V8 of the law's worked examples."""
    homes = {"for": Count(9, 450), "against": Count(1, 300), "abstain": Count()}
    assert result_of(("civil-code@2021-01-01", "fund-use"), Count(10, 750), homes) == "passed"
    assert result_of(("civil-code@2021-01-01", "rebuild"), Count(10, 750), homes) == "not passed"
    developer = {"for": Count(60, 6_000), "against": Count(), "abstain": Count()}
    assert result_of(("civil-code@2021-01-01", "fund-use"), Count(61, 10_000), developer) == "no quorum"


def test_a_file_of_openings_is_read_strictly(tmp_path: Path) -> None:
    world = voted()
    assert parse_openings(lines_of(world.openings)) == world.openings
    for broken in ("A" * 20, "not base64", "A" * 6_000):
        with pytest.raises(Rejected):
            parse_openings(f"{lines_of(world.openings)}{broken}\n")
    missing = str(tmp_path / "openings.txt")
    assert verify.main(["log", str(tmp_path), "--openings", missing]) == 2
