"""Versions of the rules: a block is what its header's version makes of it, and another version begins at one height."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from drills.next_release import GRANT_MAX, MEASURE
from drills.next_release import NEXT_RULEBOOK as RULEBOOK
from server.domain import DERIVED, FINALS, KINDS
from server.domain import RULEBOOK as OLD_RULEBOOK
from server.domain.activation import PLAN_KEY, RulesPlan, lacking_support, version_at
from server.domain.check import BatchInvalid, check_batch
from server.domain.plan import parse_signed
from server.domain.points import Transfer
from server.domain.rules import Rulebook, Rules, RulesUnknown
from server.domain.state_root import After, manifest_of, row_line
from server.record.canonical import Malformed, decode
from server.record.rows import Row
from tests.domain.world import World, settled_world

NEXT = RULEBOOK.find(2)
GRANT: dict[str, Any] = {"activity": "watch", "member": "li", "programme": "welcome", "reason": "谢谢"}


@pytest.fixture
def later() -> World:
    """A neighbourhood whose nodes know two versions; the first one is in force."""
    world = settled_world()
    world.rulebook = RULEBOOK
    return world


def activate(
    world: World, height: int, version: int = 2, officers: tuple[str, ...] = ("owners", "property")
) -> list[str]:
    """Officers sign, one block each; their outcomes."""
    body = {"height": height, "version": version}
    return [world.block(world.record(f"officer-{name}", "rules.activate", body))[0] for name in officers]


def grant(world: World, amount: int, activity: str) -> str:
    body = {**GRANT, "amount": amount, "activity": activity}
    return world.record("sun", "points.grant", body)


def test_a_release_knows_every_version_from_the_first_one_on() -> None:
    assert OLD_RULEBOOK.newest == 1
    assert [RULEBOOK.find(version).version for version in (1, 2)] == [1, 2]
    for versions in ((), (NEXT,), (OLD_RULEBOOK.find(1), replace(NEXT, version=3))):
        with pytest.raises(ValueError, match="every version"):
            Rulebook(versions)
    for unknown in (0, 3, -1):
        with pytest.raises(RulesUnknown, match="too old: it knows rules up to 2"):
            RULEBOOK.find(unknown)


def test_a_version_cannot_forget_what_timers_and_seals_of_the_one_before_bring_about() -> None:
    first = OLD_RULEBOOK.find(1)
    fewer = {name: kind for name, kind in DERIVED.items() if name != "motion.tally"}
    with pytest.raises(ValueError, match="tally"):
        Rulebook((first, Rules(2, KINDS, fewer, FINALS)))
    with pytest.raises(ValueError, match="final"):
        Rulebook((first, Rules(2, KINDS, DERIVED, {})))


def test_officers_of_two_organisations_have_the_next_version_begin_at_a_height(later: World) -> None:
    begin = later.height + 5
    assert activate(later, begin) == ["accepted", "accepted"]
    assert later.rows[PLAN_KEY] == RulesPlan("rules", before=1, version=2, height=begin)
    assert later.rules.version == 1
    assert later.block(grant(later, GRANT_MAX + 1, "a")) == ["accepted"], "the version before still holds"
    while later.height < begin - 1:
        later.block(grant(later, 1, f"at-{later.height}"))
    assert later.rules.version == 2
    assert later.block(grant(later, GRANT_MAX + 1, "b"), grant(later, GRANT_MAX, "c")) == ["over_grant_cap", "accepted"]
    leaf = decode(later.entries[-1])
    assert leaf["system"]["body"]["rules"] == 2


def test_one_organisation_alone_activates_nothing(later: World) -> None:
    begin = later.height + 5
    assert activate(later, begin, officers=("owners", "owners")) == ["accepted", "already_approved"]
    assert PLAN_KEY not in later.rows
    assert activate(later, begin + 1, officers=("property",)) == ["accepted"], "another height is another matter"
    assert PLAN_KEY not in later.rows


def test_nobody_but_an_officer_activates(later: World) -> None:
    body = {"height": later.height + 5, "version": 2}
    assert later.block(later.record("li", "rules.activate", body)) == ["role_missing"]


def test_a_version_begins_at_a_later_block_and_not_in_another_age(later: World) -> None:
    for begin in (1, later.height + 1, later.height + 2_000_000):
        assert activate(later, begin, officers=("owners",)) == ["height_out_of_bounds"]


def test_versions_begin_one_after_the_other(later: World) -> None:
    begin = later.height + 5
    assert activate(later, begin, version=3, officers=("owners",)) == ["rules_not_next"]
    assert activate(later, begin) == ["accepted", "accepted"]
    assert activate(later, begin + 9, officers=("owners",)) == ["activation_pending"]
    assert activate(later, begin + 9, officers=("owners",)) == ["rules_not_next"], "version 2 is in force by now"
    assert activate(later, begin + 9, version=3) == ["accepted", "accepted"]
    assert later.rows[PLAN_KEY] == RulesPlan("rules", before=2, version=3, height=begin + 9)


def test_the_version_in_force_is_said_by_the_plan() -> None:
    plan = RulesPlan("rules", before=1, version=2, height=10)
    assert [version_at(plan, height) for height in (1, 9, 10, 11)] == [1, 1, 2, 2]
    assert version_at(None, 10**6) == 1


def test_a_block_of_another_version_than_the_one_in_force_is_not_voted_for(later: World) -> None:
    items = [grant(later, 1, "a").encode()]
    header = later.header_of(items, later.time_ms + 1)
    works, rows = later.plan(items)
    check_batch(header, items, works, rows, [], later.rules)
    with pytest.raises(BatchInvalid, match="rules 1 are in force"):
        check_batch(msgspec.structs.replace(header, rules=2), items, works, rows, [], NEXT)


def begun(world: World) -> World:
    """Version 2 is in force for the next block."""
    activate(world, world.height + 3)
    assert world.rules.version == 2
    return world


def test_a_version_can_ask_more_of_a_batch(later: World) -> None:
    assert later.copy().block(grant(later, MEASURE + 1, "a")) == ["over_grant_cap"]
    with pytest.raises(BatchInvalid, match="beyond all measure"):
        begun(later).block(grant(later, MEASURE + 1, "a"))


def test_a_record_whose_shape_is_gone_is_malformed_from_the_height_on(later: World) -> None:
    head = {"area_cm2": 1, "leaf": "A" * 43, "members": ["li"]}
    body = {"heads": [head], "part": 0, "parts": 3, "position": 0, "roll": "next", "root": "A" * 43}
    jws = later.record("officer-owners", "roll.publish", body)
    work = parse_signed(jws, later.estate, RULEBOOK.find(1))
    assert RULEBOOK.find(1).has_made(work.signed.body)
    assert not NEXT.has_made(work.signed.body)
    with pytest.raises(Malformed, match="parts"):
        parse_signed(jws, later.estate, NEXT)


def transfers(world: World) -> list[Row]:
    return [row for name, row in world.rows.items() if name.table == Transfer.table]


def test_rows_are_hashed_in_the_form_of_the_block_s_version(later: World) -> None:
    """The same block by both versions, which differ in one row's form: other digests."""
    items, time_ms = [grant(later, 7, "a").encode()], later.time_ms + 1
    older = later.execute(items, time_ms)
    row = next(row for row in older.changed.values() if row.table == Transfer.table)
    assert "reason" in decode(RULEBOOK.find(1).line(row))[2]
    assert "reason" not in decode(NEXT.line(row))[2]
    assert older.state_digest == World.execute(_with(later, OLD_RULEBOOK), items, time_ms).state_digest
    newer = begun(later)
    items, time_ms = [grant(newer, 7, "b").encode()], newer.time_ms + 1
    formless = Rulebook((*OLD_RULEBOOK.versions, replace(NEXT, forms={})))
    assert newer.execute(items, time_ms).state_digest != _with(newer, formless).execute(items, time_ms).state_digest


def _with(world: World, rulebook: Rulebook) -> World:
    twin = world.copy()
    twin.rulebook = rulebook
    return twin


def test_a_state_is_hashed_in_the_form_of_its_block_s_version(later: World) -> None:
    later.block(grant(later, 7, "a"))
    rows = [(row.table, row) for row in transfers(later)]
    after = After(6, "A" * 43, 20, bytes(32), "B" * 43, 1_000, 1)
    one = manifest_of(after, rows, RULEBOOK.find(1))
    other = manifest_of(msgspec.structs.replace(after, rules=2), rows, NEXT)
    assert one.chunks != other.chunks
    assert [NEXT.line_of(row_line(table, row)) for table, row in rows] == [NEXT.line(row) for _, row in rows]


def test_an_activation_needs_every_member_s_word(later: World) -> None:
    jws = later.record("officer-owners", "rules.activate", {"height": 100, "version": 2})
    body = parse_signed(jws, later.estate, later.rules).signed.body
    assert lacking_support(body, {"owners": 2, "property": 1, "street": 0}) == ("property", "street")
    assert lacking_support(body, {"owners": 2, "property": 2, "street": 3}) == ()
    other = parse_signed(grant(later, 1, "a"), later.estate, later.rules).signed.body
    assert lacking_support(other, {"owners": 0}) == ()
