"""Signatures at the edges of their curves: ES256 that holds, or not, by an exact reading of SEC 1 4.1.4; odd Ed25519.

The cases follow the categories of Wycheproof. Most keys are derived from a signature that was chosen before them
(public key recovery), so nobody knows their private keys; whether a signature holds follows from how it was made.
"""

from collections.abc import Iterator
from hashlib import sha256, sha512
from typing import NamedTuple

from ecdsa import NIST256p
from ecdsa.eddsa import generator_ed25519
from ecdsa.ellipticcurve import INFINITY, PointJacobi
from ecdsa.util import sigencode_der

CURVE = NIST256p.curve
G: PointJacobi = NIST256p.generator
ORDER: int = NIST256p.order
FIELD: int = CURVE.p()


class Edge(NamedTuple):
    """A signature (r, s) of `message` under the key (x, y); `reason` is empty where it holds."""

    name: str
    key: tuple[int, int]
    message: bytes
    r: int
    s: int
    reason: str = ""


def edges() -> Iterator[Edge]:
    """All cases, in an order that never changes."""
    yield from _edge_secrets()
    yield from _edge_values()
    yield from _edge_sums()
    yield from _edge_hashes()


def edge_keys() -> Iterator[tuple[str, tuple[int, int]]]:
    """Points like any other, although programs may stumble over their coordinates. Nobody can sign for them."""
    yield "x is 0", _pair(_point(0, 0))
    yield "x is 0, and the other y", _pair(_point(0, 1))
    yield "a small x", _pair(_point(_next_x(1, 1), 1))
    yield "the largest x", _pair(_point(_next_x(FIELD - 1, -1), 0))
    yield "x above the order", _pair(_point(_next_x(ORDER, 1), 0))


def _edge_secrets() -> Iterator[Edge]:
    yield _own("the key of 1: the generator", 1, b"linli", 77)
    yield _own("the key of the order less 1", ORDER - 1, b"linli", 77)
    yield _own("one number for key and nonce", 77, b"linli", 77)


def _edge_values() -> Iterator[Edge]:
    """r and s at the ends of their ranges, and just beyond."""
    beyond = _next_x(ORDER, 1)
    wrapped = _recovered("r was above the order and is reduced", beyond, beyond - ORDER, 1_234_567)
    yield wrapped
    yield wrapped._replace(name="r as the coordinate itself, above the order", r=beyond, reason="range")
    small = _next_x(1, 1)
    one = _recovered("the smallest r", small, small, 99)
    yield one
    yield one._replace(name="the smallest r plus the order", r=small + ORDER, reason="range")
    yield one._replace(name="s plus the order", s=one.s + ORDER, reason="range")
    yield one._replace(name="the smallest r, the other s", s=ORDER - one.s)
    yield one._replace(name="r negated", r=ORDER - one.r, reason="signature")
    largest = _next_x(ORDER - 1, -1)
    yield _recovered("the largest r", largest, largest, 99)
    for s in (1, 2, 3, ORDER // 2, ORDER // 2 + 1, ORDER - 2, ORDER - 1):
        name = f"s of {s}" if s < 4 else f"s of the order less {ORDER - s}" if ORDER - s < 4 else f"s of {s:x}"
        yield _recovered(name, _next_x(2**200, 1), _next_x(2**200, 1), s)
    for name, r, s in (
        ("r and s of 1", 1, 1),
        ("r and s of the order less 1", ORDER - 1, ORDER - 1),
        ("r of the order, s of 1", ORDER, 1),
        ("r of 1, s of the order", 1, ORDER),
        ("r of the field", FIELD, 1),
        ("r and s of 2^256 - 1", 2**256 - 1, 2**256 - 1),
        ("r of 0, s of 1", 0, 1),
        ("r of 1, s of 0", 1, 0),
    ):
        reason = "signature" if 0 < r < ORDER and 0 < s < ORDER else "range"
        yield Edge(name, _pair(77 * G), b"linli", r, s, reason)


def _edge_sums() -> Iterator[Edge]:
    """u1 G + u2 Q where both parts are equal, or cancel each other out: formulas for adding differ there."""
    digest = _hash(b"linli")
    u1 = 2**128 + 51
    r, s = (2 * u1 * G).x() % ORDER, digest * pow(u1, -1, ORDER) % ORDER
    u2 = r * pow(s, -1, ORDER) % ORDER
    doubled = u1 * pow(u2, -1, ORDER) % ORDER * G
    yield Edge("both parts of the sum are one point", _pair(doubled), b"linli", r, s)
    secret = 2**100 + 7
    lost = -digest * pow(secret, -1, ORDER) % ORDER
    yield Edge("the parts of the sum cancel out", _pair(secret * G), b"linli", lost, 12_345, "signature")
    yield Edge("the parts cancel out, r of 0", _pair(secret * G), b"linli", 0, 12_345, "range")


def _edge_hashes() -> Iterator[Edge]:
    """Digests that begin or end with zeros: an integer loses them, and must not."""
    for name, place in (("begins with two zeros", slice(0, 2)), ("ends with two zeros", slice(30, 32))):
        number = next(n for n in range(10**7) if sha256(b"linli %d" % n).digest()[place] == b"\0\0")
        yield _own(f"the digest {name}", 4711, b"linli %d" % number, 99)
    number = next(n for n in range(10**6) if sha256(b"linli %d" % n).digest()[:1] == b"\xff")
    yield _own("the digest begins with ff", 4711, b"linli %d" % number, 99)


def as_der(r: int, s: int) -> bytes:
    """A signature as X.509 writes it (RFC 3279 2.2.3), which ES256 does not."""
    return bytes(sigencode_der(r, s, ORDER))


def odd_signatures(secret: bytes, public: bytes, message: bytes) -> dict[str, bytes]:
    """Ed25519 signatures with an odd R, which only the key's owner can make: libraries differ about them.

    RFC 8032 5.1.7 lets a verifier choose whether the equation has the cofactor, which hides points of small order. All
    our programs take it without, and canonical encodings only, so that none believes what another refuses.
    """
    field, honest = int(generator_ed25519.curve().p()), 4711 * generator_ed25519
    # (x, y) + (0, -1) = (-x, -y), and (0, -1) is the point of order 2
    moved = int(field - honest.y() | ((field - honest.x()) & 1) << 255)
    odd = {
        "a point of small order in R": (moved, 4711),
        "R of order 2": (field - 1, 0),
        "R beyond the field": (field + 1, 0),
        "R with the sign of zero": (1 | 1 << 255, 0),
    }
    return {name: _signed_ed25519(secret, public, message, *chosen) for name, chosen in odd.items()}


def _signed_ed25519(secret: bytes, public: bytes, message: bytes, point: int, nonce: int) -> bytes:
    """RFC 8032 5.1.6 with R and its nonce given."""
    scalar = int.from_bytes(sha512(secret).digest()[:32], "little") & ~7 & ~(1 << 255) | 1 << 254
    r = point.to_bytes(32, "little")
    challenge = int.from_bytes(sha512(r + public + message).digest(), "little")
    s = (nonce + challenge * scalar) % int(generator_ed25519.order())
    return r + s.to_bytes(32, "little")


def _own(name: str, secret: int, message: bytes, nonce: int) -> Edge:
    """A signature made as usual (SEC 1 4.1.3), with this secret key and nonce."""
    r = (nonce * G).x() % ORDER
    s = pow(nonce, -1, ORDER) * (_hash(message) + r * secret) % ORDER
    return Edge(name, _pair(secret * G), message, r, s)


def _recovered(name: str, x: int, r: int, s: int, message: bytes = b"linli") -> Edge:
    """The key under which (r, s) holds, R being the point with this x (SEC 1 4.1.6): Q = (s R - e G) / r."""
    key = pow(r, -1, ORDER) * (s * _point(x, 0) + (ORDER - _hash(message)) * G)
    assert key != INFINITY
    return Edge(name, _pair(key), message, r, s)


def _point(x: int, parity: int) -> PointJacobi:
    y = _root((pow(x, 3, FIELD) + CURVE.a() * x + CURVE.b()) % FIELD)
    assert y is not None, x
    return PointJacobi(CURVE, x, y if y % 2 == parity else FIELD - y, 1, ORDER)


def _next_x(x: int, step: int) -> int:
    """The nearest x, from here in this direction, that a point has."""
    while _root((pow(x, 3, FIELD) + CURVE.a() * x + CURVE.b()) % FIELD) is None:
        x += step
    return x


def _root(square: int) -> int | None:
    """A square root in the field, whose prime is 3 modulo 4."""
    root = pow(square, (FIELD + 1) // 4, FIELD)
    return root if root * root % FIELD == square else None


def _pair(point: PointJacobi) -> tuple[int, int]:
    return point.x(), point.y()


def _hash(message: bytes) -> int:
    return int.from_bytes(sha256(message).digest())
