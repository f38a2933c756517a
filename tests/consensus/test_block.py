"""Blocks and their small attachments on the way (DESIGN.md 2.4; decisions 3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.consensus.block import (
    ATTACHMENTS_BYTES_MAX,
    ATTACHMENTS_MAX,
    fit_attachments,
    make_block,
    pack_attachments,
    pack_block,
    read_header,
    unpack_attachments,
    unpack_block,
)
from server.consensus.packing import pack
from server.limits import BLOCK_ITEMS_MAX, OPENING_BYTES_MAX
from server.record.canonical import Malformed, encode
from tests.consensus.cluster import CLUSTER_ID, Bench
from tests.consensus.test_normal import header

ATTACHMENTS = st.lists(st.tuples(st.text("abcdef", min_size=1, max_size=8), st.binary(max_size=50)), max_size=10)


@given(ATTACHMENTS)
def test_attachments_come_back_in_the_order_of_their_names(attachments: list[tuple[str, bytes]]) -> None:
    assert unpack_attachments(pack_attachments(tuple(attachments))) == tuple(sorted(dict(attachments).items()))


def test_attachments_in_another_order_or_twice_are_malformed() -> None:
    for names in ([b"b", b"x", b"a", b"x"], [b"a", b"x", b"a", b"x"], [b"a"], [b"", b"x"], ["ä".encode(), b"x"]):
        with pytest.raises(Malformed):
            unpack_attachments(pack(names))


def test_what_does_not_fit_a_frame_is_left_to_be_fetched() -> None:
    many = tuple((f"n{index:05}", bytes(OPENING_BYTES_MAX)) for index in range(1_000))
    kept = fit_attachments(many)
    assert 500 < len(kept) < 520
    assert len(pack_attachments(kept)) <= ATTACHMENTS_BYTES_MAX
    assert unpack_attachments(pack_attachments(kept)) == kept
    assert len(fit_attachments(tuple((f"n{index:05}", b"") for index in range(3_000)))) == ATTACHMENTS_MAX
    assert fit_attachments((("large", bytes(OPENING_BYTES_MAX + 1)), ("small", b"x"))) == (("small", b"x"),)


def test_a_block_comes_back_with_the_same_id() -> None:
    block = make_block(CLUSTER_ID, header(Bench()), (b"r1",), (("n", b"opening"),))
    assert unpack_block(CLUSTER_ID, pack_block(block)) == block
    assert unpack_block(bytes(32), pack_block(block)).block_id != block.block_id


def test_items_beyond_the_limits_are_malformed() -> None:
    good = header(Bench())
    for items in ([b"r1"] * (BLOCK_ITEMS_MAX + 1), [b"r1", b"r2"], [bytes(70_000)]):
        with pytest.raises(Malformed):
            unpack_block(CLUSTER_ID, pack([encode(good), pack(items), b""]))


def test_a_header_has_one_spelling_and_bounded_numbers() -> None:
    good = encode(header(Bench()))
    assert encode(read_header(good)) == good
    for bad in (good + b" ", good.replace(b'"epoch":0', b'"epoch":-1'), good.replace(b'"rules":1', b'"rules":1e400')):
        with pytest.raises(Malformed):
            read_header(bad)
