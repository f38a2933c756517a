"""The independent verifier on logs that cross an activation: versions as officers signed them, and no guessing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from drills.next_release import NEXT_RULEBOOK
from server.record.canonical import decode, encode
from tests.domain.world import World, make_genesis, settled_world
from verifier import ledger
from verifier.encoding import Rejected
from verifier.genesis import parse_genesis
from verifier.invariants import invariants
from verifier.offices import Offices
from verifier.report import Report, Result
from verifier.succession import Era
from verifier.versions import Versions


def crossed() -> tuple[World, int]:
    """A log whose rules 2 have begun at some height, and a record of theirs after it."""
    world = settled_world()
    world.rulebook = NEXT_RULEBOOK
    begin = world.height + 4
    for officer in ("officer-owners", "officer-property"):
        world.do(officer, "rules.activate", {"height": begin, "version": 2})
    for number in range(4):
        body = {"activity": f"a-{number}", "amount": 6_000, "member": "li", "programme": "p", "reason": "!"}
        world.block(world.record("sun", "points.grant", body))
    return world, begin


def see_all(entries: Iterable[bytes]) -> Versions:
    offices = Offices([Era(parse_genesis(encode(make_genesis())))])
    versions = Versions(offices)
    for index, data in enumerate(entries):
        seen = ledger._parse(data, index)
        offices.see(seen)
        versions.see(seen)
    return versions


def changed(data: bytes, change: dict[str, Any]) -> bytes:
    entry = decode(data)
    entry["system"]["body"].update(change)
    return encode(entry)


def test_versions_are_those_that_officers_have_had_begin() -> None:
    world, begin = crossed()
    assert see_all(world.entries).conclude() == (Result.OK, f"rules 1, rules 2 from block {begin} on")
    assert see_all(settled_world().entries).conclude() == (Result.OK, "rules 1")


def test_what_officers_sign_under_unknown_rules_is_not_checked() -> None:
    world, begin = crossed()
    world.do("officer-street", "rules.activate", {"height": world.height + 9, "version": 3})
    result, said = see_all(world.entries).conclude()
    assert result is Result.NOT_CHECKED
    assert said == f"rules 1, rules 2 from block {begin} on; what officers signed under rules 2 is not known here"


def test_a_block_of_another_version_than_the_one_in_force_is_rejected() -> None:
    world, begin = crossed()
    leaves = [index for index, data in enumerate(world.entries) if b'"kind":"block.leaf"' in data]
    for index, rules in ((leaves[begin - 1], 1), (leaves[begin - 2], 2), (leaves[-1], 3)):
        forged = [*world.entries]
        forged[index] = changed(forged[index], {"rules": rules})
        with pytest.raises(Rejected, match=f"is of rules {rules}"):
            see_all(forged)


def test_an_activation_that_one_organisation_alone_signed_begins_nothing() -> None:
    world, _ = crossed()
    second = next(i for i, data in enumerate(world.entries) if b"rules.activate" in _payload(data) and _is_second(data))
    forged = [*world.entries]
    entry = decode(forged[second])
    entry["outcome"] = "already_approved"
    forged[second] = encode(entry)
    with pytest.raises(Rejected, match="is of rules 2, rules 1 are in force"):
        see_all(forged)


def _payload(data: bytes) -> bytes:
    record = ledger._parse(data, decode(data)["index"]).record
    return encode(record.payload) if record else b""


def _is_second(data: bytes) -> bool:
    return b'"author":"officer-property"' in _payload(data)


def test_what_records_mean_under_unknown_rules_is_not_checked_and_all_else_is() -> None:
    world, begin = crossed()
    genesis = parse_genesis(encode(make_genesis()))
    report = Report(ledger.CHECKS)
    watched = invariants([Era(genesis)], world.tree.size, world.tree.root(), None, 1, {})
    del watched["seals"]  # no lines of members in this world
    assert ledger._walk(report, iter(world.entries), watched)
    for name, invariant in watched.items():
        ledger._settle(report, name, invariant.conclude)
    found = {name: report.result(name) for name in ledger.CHECKS}
    assert {name for name, result in found.items() if result is Result.FAILED} == set()
    for name in ("tree", "chain", "rules", "time", "once", "signatures", "owners", "attestations"):
        assert found[name] is Result.OK, name
    for name in ledger.OF_RECORDS:
        assert found[name] is Result.NOT_CHECKED
    assert f"block {begin} is of rules 2, this program knows rules up to 1" in "\n".join(report.lines())
