"""Signatures checked with the `ecdsa` package: ES256 of devices, Ed25519 of members; and a device key's thumbprint."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256 as sha256_function
from typing import Any

from ecdsa import BadSignatureError, Ed25519, NIST256p, VerifyingKey
from ecdsa.errors import MalformedPointError

from verifier.encoding import HASH_BYTES, Rejected, b64u, canonical, members, sha256, unb64u

SIGNATURE_BYTES = 64
_ED25519_FIELD = 2**255 - 19


def point_of(jwk: Any, fault: str) -> bytes:
    """x || y of a P-256 public key as JWK with exactly crv, kty, x, y; Rejected when it is no point of the curve."""
    members(jwk, "crv kty x y", fault)
    if (jwk["crv"], jwk["kty"]) != ("P-256", "EC"):
        raise Rejected(fault, "not a P-256 key")
    point = unb64u(jwk["x"], fault, HASH_BYTES) + unb64u(jwk["y"], fault, HASH_BYTES)
    if _p256(point) is None:
        raise Rejected(fault, "not a point of P-256")
    return point


def thumbprint(jwk: Any) -> str:
    """RFC 7638: the kid."""
    return b64u(sha256(canonical(jwk)))


def is_device_signature(point: bytes, message: bytes, signature: bytes) -> bool:
    """ES256 with r || s. High and low s are both accepted (DESIGN.md 2.1)."""
    key = _p256(point)
    if key is None or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        return bool(key.verify(signature, message, hashfunc=sha256_function))
    except (BadSignatureError, TypeError):
        # ecdsa 0.19 adds to infinity where u1 G and u2 Q cancel out, and then divides None (SEC 1 4.1.4, step 5).
        return False


def is_member_signature(public: bytes, message: bytes, signature: bytes) -> bool:
    """Ed25519 (RFC 8032)."""
    key = _ed25519(public)
    if key is None or len(signature) != SIGNATURE_BYTES or not _is_plain_point(signature[:HASH_BYTES]):
        return False
    try:
        return bool(key.verify(signature, message))
    except (BadSignatureError, ValueError):
        return False


def _is_plain_point(encoded: bytes) -> bool:
    """Whether the point is one that `ecdsa` does not mistake: it takes (0, -1) for infinity, and other encodings.

    The nodes take neither, and a verifier must not believe what they refuse.
    """
    y, has_sign = int.from_bytes(encoded, "little") & (1 << 255) - 1, bool(encoded[-1] >> 7)
    return y < _ED25519_FIELD - 1 and not (y == 1 and has_sign)


@lru_cache(maxsize=65_536)
def _p256(point: bytes) -> Any:
    try:
        return VerifyingKey.from_string(point, curve=NIST256p, hashfunc=sha256_function)
    except MalformedPointError:
        return None


@lru_cache(maxsize=1_024)
def _ed25519(public: bytes) -> Any:
    try:
        return VerifyingKey.from_string(public, curve=Ed25519)
    except (MalformedPointError, ValueError):
        return None
