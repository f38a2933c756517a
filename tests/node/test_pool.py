"""The pool: one entry a record, bounded for everybody and for each device, emptied when time is over."""

from __future__ import annotations

import pytest

from server.consensus.block import ATTACHMENTS_BYTES_MAX, ATTACHMENTS_MAX, fit_attachments
from server.limits import BLOCK_BYTES_MAX, BLOCK_ITEMS_MAX, RECORDS_IN_FLIGHT_PER_DEVICE
from server.node import pool as pool_module
from server.node.pool import Pool, PoolFull, Waiting
from server.record.canonical import b64u_encode
from server.record.signature import commitment_of
from tests.node.people import LIFE_MS, MADE_MS, Author


def waiting(author: Author, *, ours: bool = True, text: str = "", life_ms: int = LIFE_MS) -> Waiting:
    work, openings = author.report(text, life_ms=life_ms)
    return Waiting(work, tuple(sorted((commitment_of(one), one) for one in openings)), MADE_MS, ours=ours)


def test_same_record_again_is_one_entry() -> None:
    pool, one = Pool(), waiting(Author())
    first = pool.add(one)
    again = pool.add(Waiting(one.work, one.openings, MADE_MS + 1, ours=False))
    assert again is first
    assert len(pool) == 1
    assert pool.remove(one.record_id) is first
    assert pool.remove(one.record_id) is None


def test_only_the_very_bytes_that_were_judged_are_known() -> None:
    pool, author = Pool(), Author()
    one = pool.add(waiting(author))
    content = one.item.rpartition(b".")[0]
    signed_again = content + b"." + b64u_encode(author.signer.sign(content)).encode()
    assert pool.by_item(one.item) is one
    assert signed_again != one.item
    assert pool.by_item(signed_again) is None


def test_a_device_has_few_records_in_flight_and_gets_its_places_back() -> None:
    pool, author = Pool(), Author()
    held = [pool.add(waiting(author)) for _ in range(RECORDS_IN_FLIGHT_PER_DEVICE)]
    with pytest.raises(PoolFull):
        pool.add(waiting(author))
    pool.add(waiting(Author()))
    pool.remove(held[0].record_id)
    pool.add(waiting(author))


def test_what_peers_pass_on_does_not_count_against_the_device_here() -> None:
    pool, author = Pool(), Author()
    for _ in range(3 * RECORDS_IN_FLIGHT_PER_DEVICE):
        pool.add(waiting(author, ours=False))
    pool.add(waiting(author))


def test_records_and_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool()
    monkeypatch.setattr(pool_module, "POOL_RECORDS_MAX", 2)
    held = [pool.add(waiting(Author())) for _ in range(2)]
    with pytest.raises(PoolFull):
        pool.add(waiting(Author(), ours=False))
    monkeypatch.setattr(pool_module, "POOL_RECORDS_MAX", 100)
    monkeypatch.setattr(pool_module, "POOL_BYTES_MAX", sum(one.size for one in held) + 10)
    with pytest.raises(PoolFull):
        pool.add(waiting(Author(), ours=False))


def test_expired_records_leave_and_whoever_waits_is_told() -> None:
    pool = Pool()
    short, long = pool.add(waiting(Author(), life_ms=1_000)), pool.add(waiting(Author(), life_ms=2_000))
    pool.drop_expired(MADE_MS + 999)
    assert len(pool) == 2
    pool.drop_expired(MADE_MS + 1_000)
    assert list(pool) == [long]
    assert short.done.is_set()
    assert not long.done.is_set()


def test_a_batch_is_picked_by_arrival_and_leaves_room_for_timers() -> None:
    pool = Pool()
    added = [pool.add(waiting(Author(), ours=False)) for _ in range(BLOCK_ITEMS_MAX)]
    picked = pool.pick()
    assert picked == added[: len(picked)]
    assert len(picked) == BLOCK_ITEMS_MAX - pool_module.RESERVED_ITEMS
    assert pool.pick() == picked, "picking takes nothing away"


def test_the_openings_of_a_batch_always_fit_its_frame() -> None:
    pool, author = Pool(), Author()
    for _ in range(300):
        one = waiting(author, ours=False)
        many = tuple((f"{number:03}{one.record_id[3:]}", bytes(1_000)) for number in range(16))
        pool.add(Waiting(one.work, many, MADE_MS, ours=False))
    picked = pool.pick()
    openings = tuple(opening for one in picked for opening in one.openings)
    assert 0 < len(picked) < 300
    assert len(openings) <= ATTACHMENTS_MAX
    assert sum(len(opening) for _, opening in openings) <= ATTACHMENTS_BYTES_MAX
    assert fit_attachments(openings) == tuple(sorted(openings))


def test_the_items_of_a_batch_always_fit_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool()
    monkeypatch.setattr(pool_module, "BLOCK_BYTES_MAX", pool_module.RESERVED_BYTES + 3_000)
    for _ in range(10):
        pool.add(waiting(Author(), ours=False))
    picked = pool.pick()
    assert 0 < len(picked) < 10
    assert sum(len(one.item) for one in picked) <= 3_000 < BLOCK_BYTES_MAX


def test_openings_are_found_for_the_records_that_wait() -> None:
    pool = Pool()
    one, other = pool.add(waiting(Author())), pool.add(waiting(Author()))
    assert pool.openings_of([one.record_id, "unknown", one.record_id]) == one.openings
    assert pool.openings_of([one.record_id, other.record_id]) == one.openings + other.openings
