"""A result that not all members sign: final by time, under a quorum's signatures, without the absent, who are named."""

from __future__ import annotations

from typing import Any

import pytest

from server.domain.agenda import SealWait
from server.domain.check import BatchInvalid, check_final_lines, check_seal_lines
from server.domain.motion import Motion
from server.domain.tally import FINALITY, FinalizeWithout, absent_from
from server.ledger.block import Derived
from server.limits import DAY_MS, HOUR_MS
from server.record.canonical import b64u_encode, encode
from tests.domain.world import World

CLOSE = HOUR_MS + 1_000
PATIENCE_MS = 3 * DAY_MS


@pytest.fixture
def tallied(world: World) -> tuple[World, str]:
    """A motion that was counted, with a block after its tally."""
    motion = world.open_motion()
    world.block(after_ms=CLOSE)
    world.publish_roll("roll-later")
    return world, motion


def final_item(world: World, motion: str, **changes: Any) -> bytes:
    """A result that goes on without street. (Its lines are the node's to check.)"""
    body = {
        "absent": ["street"],
        "root": b64u_encode(world.tree.root()),
        "signatures": ["owners", "property", ""],
        "size": world.tree.size,
    }
    due_ms = changes.pop("due_ms", 0)
    return encode(Derived({**body, **changes}, due_ms, motion, FinalizeWithout.kind))


def go_on(world: World, *items: bytes, wait_ms: int = PATIENCE_MS) -> None:
    world.keep(world.execute([*items], world.time_ms + wait_ms))


def test_a_result_is_final_without_the_absent_and_names_them(tallied: tuple[World, str]) -> None:
    world, motion = tallied
    go_on(world, final_item(world, motion))
    row, wait = world.get(Motion, motion), world.get(SealWait, FINALITY, motion)
    assert row is not None and wait is not None
    assert (row.state, row.final_without, wait.done) == ("final", ("street",), True)


def test_everybody_is_waited_for_as_long_as_the_policy_says(tallied: tuple[World, str]) -> None:
    world, motion = tallied
    wait = world.get(SealWait, FINALITY, motion)
    assert wait is not None
    left_ms = wait.without_ms - world.time_ms
    with pytest.raises(BatchInvalid, match="time to go on"):
        go_on(world, final_item(world, motion), wait_ms=left_ms - 1)
    go_on(world, final_item(world, motion), wait_ms=left_ms)


def test_the_patience_is_that_of_the_policy_at_the_opening(world: World) -> None:
    motion = world.get(Motion, world.open_motion())
    assert motion is not None
    assert motion.final_without_ms == PATIENCE_MS


def test_a_checkpoint_from_before_the_tally_says_nothing_of_it(tallied: tuple[World, str]) -> None:
    world, motion = tallied
    wait = world.get(SealWait, FINALITY, motion)
    assert wait is not None
    with pytest.raises(BatchInvalid, match="too old"):
        go_on(world, final_item(world, motion, size=wait.index))


def test_a_seal_comes_first_and_what_it_made_final_stays_so(tallied: tuple[World, str]) -> None:
    world, motion = tallied
    with pytest.raises(BatchInvalid, match="does not wait"):
        go_on(world, world.seal_item(), final_item(world, motion))
    world.block(after_ms=PATIENCE_MS, seals=True)
    row = world.get(Motion, motion)
    assert row is not None
    assert (row.state, row.final_without) == ("final", ())
    with pytest.raises(BatchInvalid, match="does not wait"):
        go_on(world, final_item(world, motion))


def test_it_is_final_once_and_a_later_seal_changes_nothing(tallied: tuple[World, str]) -> None:
    world, motion = tallied
    item = final_item(world, motion)
    with pytest.raises(BatchInvalid, match="once"):
        go_on(world, item, item)
    go_on(world, item)
    with pytest.raises(BatchInvalid, match="does not wait"):
        go_on(world, final_item(world, motion))
    before = world.get(Motion, motion)
    world.block(seals=True)
    assert world.get(Motion, motion) == before


def test_only_what_was_tallied_goes_on_and_never_by_a_timer(tallied: tuple[World, str]) -> None:
    world, motion = tallied
    for item in (final_item(world, world.open_motion()), final_item(world, "no-motion")):
        with pytest.raises(BatchInvalid, match="does not wait"):
            go_on(world, item, wait_ms=HOUR_MS // 2)
    with pytest.raises(BatchInvalid, match="not due at a time"):
        go_on(world, final_item(world, motion, due_ms=1))


def test_a_change_of_members_waits_for_everybody_however_long() -> None:
    assert SealWait("epoch.begin/1", 5, "epoch.begin", "1").without_ms == 0


def test_the_absent_are_those_without_a_line_but_for_who_is_barred() -> None:
    members = ["owners", "property", "school", "street"]
    assert absent_from(["x", "", "", "y"], members, []) == ("property", "school")
    assert absent_from(["x", "", "", "y"], members, ["school"]) == ("property",)


def final_of(*lines: str, absent: tuple[str, ...]) -> FinalizeWithout:
    return FinalizeWithout(absent=absent, root=b64u_encode(bytes(32)), signatures=lines, size=9)


def test_a_quorum_signs_and_just_those_without_a_line_are_named() -> None:
    members, street = ["owners", "property", "street"], {"street": ""}
    check_final_lines(final_of("a", "b", "", absent=("street",)), street, members, [], quorum=2)
    for final, unsigned, quorum in (
        (final_of("a", "", "", absent=("property", "street")), {"property": "", "street": ""}, 2),
        (final_of("a", "b", "", absent=("street",)), street, 3),
        (final_of("a", "b", "c", absent=("street",)), {"street": "c"}, 2),
        (final_of("a", "b", "c", absent=("street",)), {}, 2),
        (final_of("a", "b", "", absent=("property",)), street, 2),
        (final_of("a", "b", "", absent=("property", "street")), street, 2),
    ):
        with pytest.raises(BatchInvalid):
            check_final_lines(final, unsigned, members, [], quorum)


def test_who_is_barred_is_not_named_as_absent() -> None:
    members, unsigned = ["owners", "property", "school", "street"], {"property": "", "street": ""}
    check_final_lines(final_of("a", "", "b", "", absent=("street",)), unsigned, members, ["property"], quorum=2)
    with pytest.raises(BatchInvalid, match="absent"):
        check_final_lines(
            final_of("a", "", "b", "", absent=("property", "street")), unsigned, members, ["property"], quorum=2
        )


def test_a_seal_is_signed_by_all_but_those_it_does_not_wait_for() -> None:
    check_seal_lines({}, [])
    check_seal_lines({"street": ""}, ["street"])
    for unsigned, excused in (({"street": ""}, []), ({"street": "forged"}, ["street"]), ({"owners": ""}, ["street"])):
        with pytest.raises(BatchInvalid, match="all members"):
            check_seal_lines(unsigned, excused)
