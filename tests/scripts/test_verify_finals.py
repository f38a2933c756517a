"""The verifier's own judgement of results that became final without a member: who signed, and how long all were waited
for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest

from server.domain.tally import FinalizeWithout
from server.ledger.block import Derived
from server.ledger.checkpoint import cosign_line
from server.limits import DAY_MS, HOUR_MS
from server.record.canonical import b64u_encode, decode, encode
from tests.domain.world import ORGANISATIONS, World, make_genesis, organisation_key, settled_world
from tests.scripts.verified import Change, Entry, examine, lie, places, said

KIND = FinalizeWithout.kind


def lines_by(world: World, signers: Sequence[str]) -> list[str]:
    """A line under the whole log for each member that signs, an empty one for who does not."""
    origin, root, size = make_genesis().origin, world.tree.root(), world.tree.size
    return [
        cosign_line(organisation_key(name, "cosign"), origin, name, size, root, 1_750_000_000)
        if name in signers
        else ""
        for name in ORGANISATIONS
    ]


@cache
def gone_on() -> World:
    """A vote that is final without the last of the members, three days after its tally."""
    world = settled_world()
    motion = world.open_motion()
    world.block(after_ms=2 * HOUR_MS)
    world.publish_roll("roll-later")
    *signers, absent = ORGANISATIONS
    body = {
        "absent": [absent],
        "root": b64u_encode(world.tree.root()),
        "signatures": lines_by(world, signers),
        "size": world.tree.size,
    }
    world.keep(world.execute([encode(Derived(body, 0, motion, KIND))], world.time_ms + 3 * DAY_MS))
    world.publish_roll("roll-last")
    return world


def with_final(**changes: Any) -> Change:
    """The entry with another body."""

    def apply(entries: list[Entry]) -> list[Entry]:
        [entry] = [one for one in entries if one.get("system", {}).get("kind") == KIND]
        entry["system"]["body"].update(changes)
        return entries

    return apply


def test_who_was_absent_is_said() -> None:
    world = gone_on()
    report = examine(world.entries)
    assert report.exit_code() == 0, "\n".join(report.lines())
    assert f"is final without {ORGANISATIONS[-1]}" in said(report, "finals")


def test_a_result_that_was_hurried_is_found() -> None:
    """The policy of genesis says three days; all members signed that two are enough."""
    world = gone_on()
    [place] = places(world.entries, KIND)

    def hurried(entries: list[Entry]) -> list[Entry]:
        entries[place]["time_ms"] -= DAY_MS
        return entries

    line = said(examine(lie(world.entries, hurried)), "finals")
    assert line.startswith("FAILED") and f"entry {place}" in line and "before its time" in line


def lies() -> dict[str, tuple[dict[str, Any], str]]:
    world = gone_on()
    [place] = places(world.entries, KIND)
    first, second, absent = ORGANISATIONS
    [tally] = places(world.entries, "motion.tally")
    line, _, _ = decode(world.entries[place])["system"]["body"]["signatures"]
    return {
        "one alone": ({"signatures": [line, "", ""], "absent": [second, absent]}, "signatures of"),
        "nobody": ({"signatures": ["", "", ""], "absent": [first, second, absent]}, "signatures of nobody"),
        "one twice": ({"signatures": [line, line, ""]}, "two lines"),
        "another absent": ({"absent": [second]}, "names others"),
        "nobody absent": ({"absent": []}, "names others"),
        "an old checkpoint": ({"size": tally}, "before its time"),
        "another root": ({"root": b64u_encode(bytes(32))}, "root"),
        "a size that was none": ({"size": place - 1}, "root"),
    }

    return list(decode(world.entries[place])["system"]["body"]["signatures"])


@pytest.mark.parametrize("name", list(lies()))
def test_a_result_under_too_few_or_other_signatures_is_found(name: str) -> None:
    changes, word = lies()[name]
    line = said(examine(lie(gone_on().entries, with_final(**changes))), "finals")
    assert line.startswith("FAILED") and word in line


def test_a_result_becomes_final_once() -> None:
    world = gone_on()
    [place] = places(world.entries, KIND)
    twice = lie(world.entries, lambda entries: [*entries[: place + 1], entries[place], *entries[place + 1 :]])
    assert "was final before" in said(examine(twice), "finals")
