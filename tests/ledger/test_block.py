"""Blocks: ids, entries and digests are the bytes that DESIGN.md 2.4 writes down."""

from hashlib import sha256

import msgspec
import pytest

from samples import CLUSTER_ID, CREATED_MS
from server.ledger.block import (
    ACCEPTED,
    Derived,
    Header,
    block_id,
    derived_entry,
    derived_id,
    entries_root,
    genesis_digest,
    genesis_tip,
    leaf_entry,
    next_digest,
    record_entry,
)
from server.ledger.merkle import EMPTY_ROOT, leaf_hash
from server.record.canonical import b64u_encode, decode

HEADER = Header(
    entries_bytes=3,
    entries_root=entries_root([b"abc"]),
    epoch=0,
    height=7,
    prev=genesis_tip(CLUSTER_ID),
    proposer="street",
    rules=1,
    state_digest_prev=genesis_digest(CLUSTER_ID),
    time_ms=CREATED_MS,
)


def hashed(*parts: bytes) -> str:
    return b64u_encode(sha256(b"".join(parts)).digest())


def test_the_block_id_is_over_cluster_and_header() -> None:
    header = (
        f'{{"entries_bytes":3,"entries_root":"{HEADER.entries_root}","epoch":0,"height":7,"prev":"{HEADER.prev}",'
        f'"proposer":"street","rules":1,"state_digest_prev":"{HEADER.state_digest_prev}","time_ms":{CREATED_MS}}}'
    )
    assert block_id(CLUSTER_ID, HEADER) == hashed(b"linli/block/v1\n", CLUSTER_ID, b"\n", header.encode())
    assert block_id(bytes(32), HEADER) != block_id(CLUSTER_ID, HEADER)


@pytest.mark.parametrize("name", Header.__struct_fields__)
def test_every_member_of_the_header_changes_the_block_id(name: str) -> None:
    value = getattr(HEADER, name)
    changed = msgspec.structs.replace(HEADER, **{name: value + (1 if isinstance(value, int) else "A")})
    assert block_id(CLUSTER_ID, changed) != block_id(CLUSTER_ID, HEADER)


def test_the_root_of_the_entries_is_a_merkle_root_over_the_items() -> None:
    assert entries_root([]) == b64u_encode(EMPTY_ROOT)
    assert entries_root([b"abc"]) == b64u_encode(leaf_hash(b"abc"))


def test_a_record_s_entry_is_canonical_and_holds_it_verbatim() -> None:
    entry = record_entry(7, 9, CREATED_MS, "a.b.c", "expired")
    assert entry == f'{{"height":7,"index":9,"outcome":"expired","record":"a.b.c","time_ms":{CREATED_MS}}}'.encode()


def test_a_derived_entry_names_itself() -> None:
    item = Derived({"n": 1}, CREATED_MS, "motion-1", "poll.close")
    identity = hashed(
        b"linli/system\n", CLUSTER_ID, f'{{"due_ms":{CREATED_MS},"key":"motion-1","kind":"poll.close"}}'.encode()
    )
    assert derived_id(CLUSTER_ID, "poll.close", "motion-1", CREATED_MS) == identity
    assert decode(derived_entry(CLUSTER_ID, 7, 9, CREATED_MS, item, ACCEPTED))["system"] == {
        "body": {"n": 1},
        "due_ms": CREATED_MS,
        "id": identity,
        "key": "motion-1",
        "kind": "poll.close",
    }


def test_the_leaf_of_a_block_says_everything_but_the_view() -> None:
    leaf = decode(leaf_entry(CLUSTER_ID, HEADER, 9, "digest"))
    assert (leaf["index"], leaf["height"], leaf["outcome"], leaf["time_ms"]) == (9, 7, ACCEPTED, CREATED_MS)
    assert (leaf["system"]["kind"], leaf["system"]["key"], leaf["system"]["due_ms"]) == ("block.leaf", "7", 0)
    assert leaf["system"]["body"] == {
        "block_id": block_id(CLUSTER_ID, HEADER),
        "entries_root": HEADER.entries_root,
        "epoch": 0,
        "prev": HEADER.prev,
        "proposer": "street",
        "rules": 1,
        "state_digest": "digest",
    }


def test_the_state_digest_depends_on_the_past_the_outcomes_and_the_rows() -> None:
    digests = {
        next_digest(previous, outcomes, rows)
        for previous in ("a", "b")
        for outcomes in ([], ["accepted"], ["expired"], ["accepted", "expired"], ["expired", "accepted"])
        for rows in ([], [b"row"], [b"row", b"other"])
    }
    assert len(digests) == 2 * 5 * 3
