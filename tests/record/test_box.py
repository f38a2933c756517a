"""Boxes: any threshold of the organisations opens them, fewer cannot, and what is void is void for everybody."""

from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samples import CLUSTER_ID, seed
from server.record.box import (
    CONTENT_BYTES,
    OPENING_BYTES_MAX,
    BoxContext,
    box_bytes,
    box_key_of,
    check_box_key,
    open_box,
    open_with_seed,
    seal_box,
)
from server.record.canonical import Malformed, b64u_decode, b64u_encode
from server.record.shape import seal
from server.record.shares import threshold_of
from server.record.signature import commitment_of
from tests.vector_files import vector_cases

SIZES = [1, 3, 4, 7]
CHOICES = ["for", "against", "abstain", "a" * 32]
SEED = seed("box")
SMALL_ORDER = [0, 1, 2**255 - 20]


def private_key(number: int) -> bytes:
    """The private key of an organisation."""
    return seed(f"box key {number}")


@cache
def context_for(members: int, opening: bytes) -> BoxContext:
    """A ballot of a cluster of so many organisations."""
    keys = tuple(box_key_of(private_key(number)) for number in range(members))
    return BoxContext(CLUSTER_ID, commitment_of(opening), keys, "m" * 43, 7, "lift")


def opening_of(choice: str) -> bytes:
    """The opening of a choice, with a fixed salt."""
    return seal(choice, bytes(range(16)))[1]


def keys_of(numbers: tuple[int, ...]) -> dict[int, bytes]:
    """Private keys by number."""
    return {number: private_key(number) for number in numbers}


def answers(box: bytes, context: BoxContext) -> set[bytes | None]:
    """What every smallest set of organisations finds in a box."""
    members = len(context.keys)
    return {open_box(box, context, keys_of(numbers)) for numbers in combinations(range(members), context.threshold)}


@pytest.mark.parametrize("members", SIZES)
@pytest.mark.parametrize("choice", CHOICES)
def test_every_threshold_of_organisations_opens_a_box(members: int, choice: str) -> None:
    opening = opening_of(choice)
    context = context_for(members, opening)
    box = seal_box(opening, SEED, context)
    assert answers(box, context) == {opening}
    assert open_box(box, context, keys_of(tuple(range(members)))) == opening
    assert open_with_seed(box, context, SEED) == opening


@pytest.mark.parametrize("members", SIZES)
def test_boxes_of_all_choices_are_of_one_length(members: int) -> None:
    lengths = {len(seal_box(opening_of(choice), SEED, context_for(members, opening_of(choice)))) for choice in CHOICES}
    assert lengths == {box_bytes(members)}


@pytest.mark.parametrize("members", [3, 4, 7])
def test_one_organisation_too_few_is_a_bug_of_the_caller(members: int) -> None:
    opening = opening_of("for")
    context = context_for(members, opening)
    with pytest.raises(AssertionError):
        open_box(seal_box(opening, SEED, context), context, keys_of(tuple(range(threshold_of(members) - 1))))


def test_organisations_that_lack_one_key_find_nothing_with_another_in_its_place() -> None:
    opening = opening_of("for")
    context = context_for(3, opening)
    box = seal_box(opening, SEED, context)
    assert open_box(box, context, {0: private_key(0), 1: private_key(0)}) is None


@pytest.mark.parametrize("members", SIZES)
@given(place=st.integers(0, 10**6), change=st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_a_box_with_one_other_byte_is_void_for_every_set(members: int, place: int, change: int) -> None:
    opening = opening_of("for")
    context = context_for(members, opening)
    box = bytearray(seal_box(opening, SEED, context))
    box[place % len(box)] ^= change
    if members == 7:  # 35 sets: three of them say enough
        sets: list[tuple[int, ...]] = [(0, 1, 2, 3), (3, 4, 5, 6), (0, 2, 4, 6)]
    else:
        sets = list(combinations(range(members), threshold_of(members)))
    changed = bytes(box)
    found = {numbers: open_box(changed, context, keys_of(numbers)) for numbers in sets}
    assert set(found.values()) == {None}


@given(st.binary(max_size=400))
@settings(max_examples=60)
def test_any_bytes_are_void_and_no_error(garbage: bytes) -> None:
    context = context_for(3, opening_of("for"))
    assert answers(garbage, context) == {None}
    assert answers(garbage.ljust(box_bytes(3), b"\x01")[: box_bytes(3)], context) == {None}
    assert open_with_seed(garbage, context, SEED) is None


def test_a_share_sealed_for_another_place_is_void_also_for_those_whose_shares_are_good() -> None:
    """A lying phone: the shares of 0 and 1 are good, so they recover the seed; 2 could not. All must say void."""
    opening = opening_of("for")
    context = context_for(3, opening)
    box = seal_box(opening, SEED, context)
    lie = box[:-48] + seal_box(opening, seed("another box"), context)[-48:]
    assert answers(lie, context) == {None}


@pytest.mark.parametrize(
    "changes",
    [
        {"cluster_id": bytes(32)},
        {"commitment": commitment_of(b"another")},
        {"motion": "n" * 43},
        {"position": 8},
        {"question": "roof"},
    ],
)
def test_a_box_fits_no_other_ballot(changes: dict[str, object]) -> None:
    opening = opening_of("for")
    context = context_for(3, opening)
    other = replace(context, **changes)  # type: ignore[arg-type]
    assert answers(seal_box(opening, SEED, context), other) == {None}


def test_the_organisations_are_bound_in_their_order() -> None:
    opening = opening_of("for")
    context = context_for(3, opening)
    turned = replace(context, keys=(context.keys[1], context.keys[0], context.keys[2]))
    assert open_box(seal_box(opening, SEED, context), turned, {0: private_key(1), 1: private_key(0)}) is None


def test_an_opening_that_does_not_fit_the_commitment_is_void() -> None:
    context = context_for(3, opening_of("for"))
    assert answers(seal_box(opening_of("against"), SEED, context), context) == {None}


def test_the_longest_opening_fits_and_a_longer_one_is_a_bug_of_the_caller() -> None:
    longest = bytes(OPENING_BYTES_MAX)
    context = context_for(3, longest)
    assert answers(seal_box(longest, SEED, context), context) == {longest}
    with pytest.raises(AssertionError):
        seal_box(bytes(CONTENT_BYTES), SEED, context)


@pytest.mark.parametrize("number", range(7))
def test_an_honest_key_is_taken(number: int) -> None:
    check_box_key(box_key_of(private_key(number)), "key")


@pytest.mark.parametrize(
    "key",
    [
        *(value.to_bytes(32, "little") for value in SMALL_ORDER),
        bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        (2**255 - 19).to_bytes(32, "little"),
        (2**255 + 9).to_bytes(32, "little"),
        bytes(31),
        bytes(33),
    ],
)
def test_a_key_of_small_order_or_of_another_spelling_is_refused(key: bytes) -> None:
    with pytest.raises(Malformed, match="X25519"):
        check_box_key(key, "key")


def test_a_box_depends_on_nothing_but_seed_opening_and_context() -> None:
    opening = opening_of("for")
    context = context_for(3, opening)
    assert seal_box(opening, SEED, context) == seal_box(opening, SEED, replace(context))
    assert seal_box(opening, SEED, context) != seal_box(opening, seed("another box"), context)


@pytest.mark.parametrize("case", vector_cases("boxes.json"))
def test_the_shared_vectors_are_decided_as_they_say(case: dict[str, Any]) -> None:
    said = case["context"]
    keys = tuple(b64u_decode(key, 32) for key in said["keys"])
    cluster_id = b64u_decode(said["cluster_id"], 32)
    context = BoxContext(cluster_id, said["commitment"], keys, said["motion"], said["position"], said["question"])
    box, box_seed = bytes.fromhex(case["box"]), bytes.fromhex(case["seed"])
    private_keys = {int(number): bytes.fromhex(key) for number, key in case["private_keys"].items()}
    found = {open_box(box, context, private_keys), open_with_seed(box, context, box_seed)}
    assert {opening and b64u_encode(opening) for opening in found} == {case.get("opening")}
