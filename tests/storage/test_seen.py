"""The filter of ordered records: it never denies one that was added, and seldom claims another."""

from __future__ import annotations

from hashlib import sha256

import pytest

from server.record.canonical import b64u_encode
from server.storage import seen
from server.storage.seen import SeenRecords


def record(number: int) -> str:
    """An id as records have it."""
    return b64u_encode(sha256(b"%d" % number).digest())


def test_no_record_that_was_added_is_denied() -> None:
    records = SeenRecords()
    for number in range(20_000):
        records.add(record(number))
    assert all(records.may_hold(record(number)) for number in range(20_000))


def test_few_others_are_claimed() -> None:
    records = SeenRecords()
    for number in range(20_000):
        records.add(record(number))
    assert sum(records.may_hold(record(number)) for number in range(20_000, 60_000)) < 40


def test_a_full_layer_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "LAYER_RECORDS_MAX", 100)
    records = SeenRecords()
    for number in range(1_000):
        records.add(record(number))
    assert all(records.may_hold(record(number)) for number in range(1_000))
    assert not records.may_hold(record(1_001))
