"""Frames: what is encoded is read back; any other bytes are Malformed and nothing else."""

import re
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.consensus.block import unpack_attachments, unpack_block
from server.consensus.certificates import read_certificate
from server.consensus.config import FRAME_BYTES_MAX
from server.consensus.frames import decode_frame, encode_frame, frame_name, passes_record
from server.consensus.messages import (
    Commit,
    Executed,
    Prepare,
    Suspect,
    ViewChange,
    decode_body,
)
from server.consensus.packing import pack, unpack
from server.record.canonical import Malformed, decode, encode
from tests.consensus.cluster import CLUSTER_ID, Bench
from vector_cases.case import respelled


@cache
def every_frame() -> dict[str, bytes]:
    """One real frame of each type, taken from a cluster that lost its primary and a backup that caught up."""
    found: dict[str, bytes] = {}
    bench = Bench(3)

    def collect() -> None:
        for _, _, frame in bench.wire:
            found.setdefault(frame_name(frame), frame)

    for _ in range(2):
        bench.submit("a")
        while bench.wire:
            collect()
            bench.deliver_one()
        bench.tick(after_ms=300)
    collect()
    bench.drop()
    bench.submit("b", "r9")
    bench.drop()
    for _ in range(30):
        bench.tick("b", "c", after_ms=300)
        while bench.wire:
            collect()
            bench.deliver_one(lambda source, target, name: "a" not in (source, target))
    for _ in range(4):
        bench.tick(after_ms=300)
        while bench.wire:
            collect()
            bench.deliver_one()
    found["executed"] = encode_frame(bench["a"].state.executed["a"])
    return found


NAMES = [
    "pre-prepare", "prepare", "commit", "executed", "suspect", "view-change", "new-view", "cosign", "status", "request",
    "sync-request", "sync-reply",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_read_and_written_again_is_the_same_bytes(name: str) -> None:
    frame = every_frame()[name]
    assert encode_frame(decode_frame(frame)) == frame


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_cut_anywhere_is_malformed(name: str) -> None:
    frame = every_frame()[name]
    for end in range(0, len(frame), max(1, len(frame) // 200)):
        with pytest.raises(Malformed):
            decode_frame(frame[:end])


@pytest.mark.parametrize("name", ["pre-prepare", "prepare", "commit", "executed", "view-change", "cosign"])
def test_a_digest_in_another_spelling_is_malformed(name: str) -> None:
    frame = every_frame()[name].decode("latin-1")
    digests = re.findall(r'"(?:block_id|root|last_block|state_digest)":"([\w-]{43})"', frame)
    assert digests
    for text in digests:
        with pytest.raises(Malformed):
            decode_frame(frame.replace(text, respelled(text)).encode("latin-1"))


@given(st.data())
def test_a_changed_frame_is_malformed_or_another_frame_but_never_an_error(data: st.DataObject) -> None:
    frame = bytearray(every_frame()[data.draw(st.sampled_from(NAMES))])
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    try:
        message = decode_frame(bytes(frame))
    except Malformed:
        return
    assert encode_frame(message) == bytes(frame)


@given(st.binary(max_size=300))
def test_random_bytes_are_malformed(data: bytes) -> None:
    for read in (
        decode_frame,
        unpack_attachments,
        lambda each: unpack_block(CLUSTER_ID, each),
        lambda each: decode_body(Prepare, each),
    ):
        try:
            read(data)
        except Malformed:
            continue
        assert data == b"" or read is unpack_attachments


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_packed_parts_come_back(parts: list[bytes]) -> None:
    assert unpack(pack(parts)) == parts


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_certificates_of_other_bytes_are_malformed(parts: list[bytes]) -> None:
    try:
        found = read_certificate(Commit, pack(parts))
    except Malformed:
        return
    assert not parts
    assert found == []


def test_a_frame_over_the_limit_is_malformed() -> None:
    with pytest.raises(Malformed):
        decode_frame(pack([b"batch", bytes(FRAME_BYTES_MAX)]))


BODIES = [
    Prepare(block_id="w" * 43, epoch=0, height=1, sender="owners", view=0),
    Commit(block_id="w" * 43, epoch=0, height=1, new_view="", sender="owners", view=0),
    Executed(epoch=0, height=1, root="w" * 43, sender="owners", size=2, state_digest="8" * 43),
    Suspect(epoch=0, height=1, reason="record", sender="owners", view=0),
    ViewChange(epoch=0, last_block="", last_height=0, prepared_block="", prepared_view=0, sender="owners", view=1),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_a_signed_body_is_canonical_json_with_epoch_sender_and_view(body: Prepare) -> None:
    value = decode(encode(body))
    assert {"epoch", "sender"} <= value.keys()
    assert decode_body(type(body), encode(body)) == body


@pytest.mark.parametrize(
    "raw",
    [
        b'{"block_id":"%s","epoch":0,"height":1,"sender":"a","view":0 }' % (b"w" * 43),
        b'{"epoch":0,"block_id":"%s","height":1,"sender":"a","view":0}' % (b"w" * 43),
        b'{"block_id":"%s","epoch":0,"height":1,"sender":"a","view":0,"more":1}' % (b"w" * 43),
        b'{"block_id":"%s","epoch":0,"height":-1,"sender":"a","view":0}' % (b"w" * 43),
        b'{"block_id":"%s","epoch":0,"height":9007199254740992,"sender":"a","view":0}' % (b"w" * 43),
        b'{"block_id":"%s","epoch":0,"height":1.0,"sender":"a","view":0}' % (b"w" * 43),
        b'{"block_id":"short","epoch":0,"height":1,"sender":"a","view":0}',
        b'{"block_id":"%s","epoch":0,"height":1,"sender":"a"}' % (b"w" * 43),
    ],
)
def test_a_body_has_one_spelling_only(raw: bytes) -> None:
    with pytest.raises(Malformed):
        decode_body(Prepare, raw)


def test_a_frame_that_passes_a_record_on_is_known_by_its_beginning() -> None:
    frames = every_frame()
    assert [name for name, frame in frames.items() if passes_record(frame)] == ["request"]
    assert not passes_record(pack([b"requests"]))
    assert not passes_record(b"")
