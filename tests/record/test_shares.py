"""Shares: any threshold of them gives the secret back, and fewer fit every secret alike."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.consensus.quorum import Mode, Quorum
from server.record.shares import combine, split, threshold_of

SIZES = [1, 3, 4, 7]
SECRETS = st.binary(min_size=32, max_size=32)


@st.composite
def splits(draw: st.DrawFn) -> tuple[bytes, list[bytes], int]:
    """A secret, coefficients and a number of shares."""
    count = draw(st.sampled_from(SIZES))
    coefficients = draw(st.lists(SECRETS, min_size=threshold_of(count) - 1, max_size=threshold_of(count) - 1))
    return draw(SECRETS), coefficients, count


@pytest.mark.parametrize(("members", "threshold"), [(1, 1), (2, 2), (3, 2), (4, 3), (7, 4)])
def test_more_than_half_open(members: int, threshold: int) -> None:
    assert threshold_of(members) == threshold


@pytest.mark.parametrize("members", range(1, 16))
@pytest.mark.parametrize("mode", list(Mode))
def test_a_quorum_can_always_open_and_two_disjoint_groups_never(members: int, mode: Mode) -> None:
    assert threshold_of(members) <= Quorum(members, mode).quorum
    assert 2 * threshold_of(members) > members


@given(splits())
@settings(max_examples=60)
def test_every_threshold_of_shares_gives_the_secret_back(case: tuple[bytes, list[bytes], int]) -> None:
    secret, coefficients, count = case
    shares = split(secret, coefficients, count)
    for numbers in combinations(range(count), threshold_of(count)):
        assert combine({number: shares[number] for number in numbers}) == secret


@given(splits(), SECRETS)
@settings(max_examples=60)
def test_one_share_too_few_fits_every_other_secret_as_well(case: tuple[bytes, list[bytes], int], other: bytes) -> None:
    """For any other secret there are coefficients that give the very same shares: built here by interpolation."""
    secret, coefficients, count = case
    few = split(secret, coefficients, count)[: threshold_of(count) - 1]
    if not few:
        assert threshold_of(count) == 1
        return
    # A byte's polynomial through (0, other) and the known shares is unique; its value at a further place is found.
    last = threshold_of(count) - 1
    further = bytes(
        next(
            guess
            for guess in range(256)
            if combine({**{i: share[at : at + 1] for i, share in enumerate(few)}, last: bytes([guess])})[0] == other[at]
        )
        for at in range(len(other))
    )
    assert combine({**dict(enumerate(few)), last: further}) == other


def test_a_byte_times_its_inverse_is_one_as_in_aes() -> None:
    """FIPS 197 4.2 gives {57} * {83} = {c1} and {57} * {13} = {fe}: a line of slope {57} through 0."""
    assert split(b"\x00", [b"\x57"], 0x83)[0x82] == b"\xc1"
    assert split(b"\x00", [b"\x57"], 0x13)[0x12] == b"\xfe"
