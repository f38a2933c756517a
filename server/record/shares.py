"""Shares of a secret (Shamir, "How to share a secret", CACM 1979): a threshold gives it back, fewer say nothing.

Bytes are elements of GF(2^8) with the polynomial of AES (FIPS 197 4.2), each byte of the secret shared by itself. It
must not know what is shared, nor draw random bytes: the caller brings the coefficients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SHARES_MAX = 255
"""Share i is the polynomial's value at i + 1, and a byte has no more places than these; 0 is the secret's."""
_POLYNOMIAL = 0x11B
_GENERATOR_ORDER = 255


def threshold_of(members: int) -> int:
    """How many of `members` organisations must join to open: more than half. 1 of 1, 2 of 3, 3 of 4, 4 of 7.

    It is never more than a quorum of consensus (2 of 3, 3 of 4, 5 of 7), so whoever can tally can open; and two
    disjoint groups can never both open, so with two members or more nobody opens alone.
    """
    assert 1 <= members <= SHARES_MAX
    return members // 2 + 1


def split(secret: bytes, coefficients: Sequence[bytes], count: int) -> tuple[bytes, ...]:
    """`count` shares, of which any `len(coefficients) + 1` give the secret back.

    Every coefficient is as long as the secret and must be unknown to holders of shares.
    """
    assert len(coefficients) < count <= SHARES_MAX
    assert all(len(coefficient) == len(secret) for coefficient in coefficients)
    return tuple(_evaluate((secret, *coefficients), place) for place in range(1, count + 1))


def combine(shares: Mapping[int, bytes]) -> bytes:
    """The secret behind exactly as many shares as it was split for, by their number from 0. Other shares give noise."""
    assert shares and all(0 <= number < SHARES_MAX for number in shares)
    lengths = {len(share) for share in shares.values()}
    assert len(lengths) == 1, "shares of one secret are of one length"
    places = [number + 1 for number in shares]
    secret = bytes(lengths.pop())
    for number, share in shares.items():
        weight = _weight(number + 1, places)
        secret = _add(secret, bytes(_multiply(weight, byte) for byte in share))
    return secret


def _evaluate(polynomial: Sequence[bytes], place: int) -> bytes:
    """Horner's rule, for every byte; the coefficient of the highest power is the last."""
    value = bytes(len(polynomial[0]))
    for coefficient in reversed(polynomial):
        value = _add(bytes(_multiply(byte, place) for byte in value), coefficient)
    return value


def _weight(place: int, places: Sequence[int]) -> int:
    """Lagrange's factor of the share at `place`, for the value at 0. Subtraction is addition here."""
    weight = 1
    for other in places:
        if other != place:
            weight = _multiply(weight, _divide(other, other ^ place))
    return weight


def _add(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _double(value: int) -> int:
    return value << 1 if value < 0x80 else (value << 1) ^ _POLYNOMIAL


def _tables() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Powers of the generator 3, twice around, and their logarithms."""
    powers, logarithms, value = [], [0] * 256, 1
    for exponent in range(_GENERATOR_ORDER):
        powers.append(value)
        logarithms[value] = exponent
        value ^= _double(value)
    return tuple(powers * 2), tuple(logarithms)


_POWERS, _LOGARITHMS = _tables()


def _multiply(one: int, other: int) -> int:
    return _POWERS[_LOGARITHMS[one] + _LOGARITHMS[other]] if one and other else 0


def _divide(one: int, other: int) -> int:
    assert other, "two shares at one place"
    return _POWERS[_LOGARITHMS[one] - _LOGARITHMS[other] + _GENERATOR_ORDER] if one else 0
