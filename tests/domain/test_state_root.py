"""The root of the state: the same for everybody who holds the same rows, another one for any other row."""

from __future__ import annotations

import dataclasses
from hashlib import sha256

import pytest
from msgspec.structs import replace

from server.domain import RULEBOOK
from server.domain.check import BatchInvalid, check_batch
from server.domain.member import Nonce
from server.domain.points import Account
from server.domain.state_root import After, Manifest, Schedule, cut_chunks, is_forgotten, manifest_of, row_line
from server.ledger.block import Derived
from server.limits import SNAPSHOT_CHUNK_BYTES
from server.record.canonical import b64u_decode, b64u_encode, encode
from server.record.rows import Row
from tests.domain.world import World

RULES = RULEBOOK.find(1)
AFTER = After(6, "A" * 43, 20, bytes(32), "B" * 43, 1_000, 1)
ROWS: list[tuple[str, Row]] = [
    ("account", Account("m/楼", 7, 0)),
    ("account", Account("m/a", 1, 2)),
    ("nonce", Nonce("k/n", "r", 2_000)),
]


def test_a_schedule_tells_each_state_once_and_hashes_it_from_its_block_until_it_is_told() -> None:
    schedule = Schedule(every=4, lag=2)
    assert [schedule.told_at(height) for height in range(12)] == [None] * 6 + [4, None, None, None, 8, None]
    assert [schedule.hashing_after(height) for height in range(4, 11)] == [4, 4, None, None, 8, 8, None]
    assert [schedule.hashing_during(height) for height in range(4, 11)] == [None, 4, 4, None, None, 8, 8]
    assert Schedule().told_at(1_500) == 1_000


@pytest.mark.parametrize("lag", [0, 4, 5])
def test_a_schedule_whose_states_overlap_is_refused(lag: int) -> None:
    with pytest.raises(ValueError, match="before the next state"):
        Schedule(every=4, lag=lag)


def test_the_root_does_not_depend_on_the_order_in_which_rows_come() -> None:
    assert manifest_of(AFTER, ROWS, RULES) == manifest_of(AFTER, ROWS[::-1], RULES)


def test_every_row_and_every_field_of_the_manifest_is_part_of_the_root() -> None:
    manifest = manifest_of(AFTER, ROWS, RULES)
    others = [
        manifest_of(AFTER, ROWS[1:], RULES),
        manifest_of(AFTER, [*ROWS[1:], ("account", Account("m/楼", 8, 0))], RULES),
    ]
    others += [manifest_of(after, ROWS, dataclasses.replace(RULES, version=after.rules)) for after in (
        replace(AFTER, height=7), replace(AFTER, block_id="C" * 43), replace(AFTER, size=21),
        replace(AFTER, root=bytes(31) + b"1"), replace(AFTER, state_digest="C" * 43), replace(AFTER, time_ms=999),
        replace(AFTER, rules=2),
    )]  # fmt: skip
    hashes = [manifest.hash, *(other.hash for other in others)]
    assert len({*hashes}) == len(hashes)


def test_the_bytes_of_a_root_are_those_of_the_design() -> None:
    lines = [
        b'["account","m/a",{"credits":2,"debits":1,"id":"m/a"}]\n',
        '["account","m/楼",{"credits":0,"debits":7,"id":"m/楼"}]\n'.encode(),
    ]
    manifest = manifest_of(AFTER, ROWS[:2], RULES)
    assert manifest.chunks == (b64u_encode(sha256(b"".join(lines)).digest()),)
    assert b64u_decode(manifest.hash) == sha256(b"linli/state-root/v1\n" + encode(manifest)).digest()
    assert manifest.item() == Derived({"height": 6, "root": manifest.hash, "rows": 2}, 0, "6", "state.root")


def test_a_row_that_is_forgotten_by_the_blocks_time_is_in_no_state() -> None:
    assert manifest_of(replace(AFTER, time_ms=1_999), ROWS, RULES).rows == 3
    assert manifest_of(replace(AFTER, time_ms=2_000), ROWS, RULES).rows == 2
    text = Account("forget_ms", 1, 1)
    assert not is_forgotten(row_line("account", text), 10**12), "an id is no time"


def test_chunks_end_with_the_row_that_fills_them_and_hold_every_row_once() -> None:
    lines = [b"x" * 100_000 for _ in range(7)]
    chunks = list(cut_chunks(lines))
    assert [chunk.count(b"\n") for chunk in chunks] == [3, 3, 1]
    assert b"".join(chunks) == b"".join(line + b"\n" for line in lines)
    exact = b"y" * (SNAPSHOT_CHUNK_BYTES - 1)
    assert list(cut_chunks([exact])) == [exact + b"\n"]
    assert list(cut_chunks([])) == []


def proposal(world: World, manifest: Manifest | None, told: Manifest | None) -> None:
    items = [] if manifest is None else [encode(manifest.item())]
    items.append(world.record("officer-owners", "role.grant", {
        "member": "zhou", "organisation": "owners", "role": "committee"}).encode())  # fmt: skip
    time_ms = world.time_ms + 1_000
    works, rows = world.plan(items)
    item = None if told is None else told.item()
    check_batch(world.header_of(items, time_ms), items, works, rows, world.due(time_ms), world.rules, item)


def test_a_block_tells_the_root_that_is_due_and_no_other(world: World) -> None:
    manifest = manifest_of(AFTER, ROWS, RULES)
    other = manifest_of(AFTER, ROWS[1:], RULES)
    proposal(world, manifest, manifest)
    proposal(world, None, None)
    for told, due in ((None, manifest), (manifest, None), (other, manifest)):
        with pytest.raises(BatchInvalid, match="root of the state"):
            proposal(world, told, due)


def test_a_state_root_stands_before_timers_and_records_and_changes_no_row(world: World) -> None:
    item = encode(manifest_of(AFTER, ROWS, RULES).item())
    works, rows = world.plan([item])
    assert works[0].keys == ()
    record = world.record(
        "officer-owners", "role.grant", {"member": "zhou", "organisation": "owners", "role": "committee"}
    ).encode()
    items, time_ms = [record, item], world.time_ms + 1_000
    works, rows = world.plan(items)
    with pytest.raises(BatchInvalid, match="order"):
        check_batch(
            world.header_of(items, time_ms), items, works, rows, (), world.rules, manifest_of(AFTER, ROWS, RULES).item()
        )
