"""Signatures: ES256 of people's devices, Ed25519 of nodes, and the RFC 7638 thumbprint of a device key.

The one place where `cryptography` signs and verifies. Private keys come in and are never logged or kept here.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Protocol

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from msgspec import Meta

from server.record.canonical import Malformed, b64u_decode, b64u_encode, b64u_pattern, digest, encode

_ES256 = ec.ECDSA(hashes.SHA256())
_P256_BYTES = 32
Coordinate = Annotated[str, Meta(pattern=rf"^{b64u_pattern(_P256_BYTES)}$(?!\n)", description="32 bytes in base64url")]
_PARSED_KEYS = 4096
"""Parsed keys kept: parsing costs 7-24 us of the 90 us that a verification takes (performance.md 4)."""


class DeviceKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A P-256 public key as a JWK (RFC 7517), only the members that its thumbprint covers."""

    crv: str
    kty: str
    x: Coordinate
    y: Coordinate

    def thumbprint(self) -> str:
        """RFC 7638: b64u(SHA-256(canonical JWK)); this is the `kid`."""
        return digest(encode(self))

    def point(self) -> bytes:
        """SEC 1 uncompressed point. Raises Malformed when the members are not of a P-256 key."""
        return _point_of(self)


@lru_cache(maxsize=_PARSED_KEYS)
def _point_of(key: DeviceKey) -> bytes:
    if (key.crv, key.kty) != ("P-256", "EC"):
        raise Malformed("not a P-256 key", "device_key")
    point = b"\x04" + b64u_decode(key.x, _P256_BYTES) + b64u_decode(key.y, _P256_BYTES)
    if _parse_point(point) is None:
        raise Malformed("not a point of P-256", "device_key")
    return point


def device_key_of(point: bytes) -> DeviceKey:
    """The JWK of a SEC 1 uncompressed point."""
    return DeviceKey("P-256", "EC", b64u_encode(point[1:33]), b64u_encode(point[33:65]))


@lru_cache(maxsize=_PARSED_KEYS)
def _parse_point(point: bytes) -> ec.EllipticCurvePublicKey | None:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except (ValueError, TypeError):
        return None


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """ES256: does `signature` (r || s, 64 bytes) of `message` belong to `public_key` (SEC 1 point, compressed or not)?

    False for every bad input, never an exception. Low and high s are both accepted (decisions 1).
    """
    if not all(isinstance(part, bytes) for part in (public_key, message, signature)) or len(signature) != 64:
        return False
    key = _parse_point(public_key)
    if key is None:
        return False
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    try:
        key.verify(encode_dss_signature(r, s), message, _ES256)
    except (InvalidSignature, ValueError):
        return False
    return True


class DeviceSigner:
    """A device's private key: demo, tests and office tools; a resident's own key never leaves the phone."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        encoding, form = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        self.public = device_key_of(key.public_key().public_bytes(encoding, form))
        self.kid = self.public.thumbprint()

    @classmethod
    def generate(cls) -> DeviceSigner:
        """A new key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes) -> DeviceSigner:
        """From PKCS 8 PEM. Raises ValueError when it holds no P-256 key."""
        key = serialization.load_pem_private_key(pem, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise ValueError("not a P-256 private key")
        return cls(key)

    def pem(self) -> bytes:
        """PKCS 8 PEM, unencrypted: the caller guards the file."""
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return self._key.private_bytes(encoding, form, serialization.NoEncryption())

    def sign(self, message: bytes) -> bytes:
        """ES256 signature, r || s, 64 bytes."""
        r, s = decode_dss_signature(self._key.sign(message, _ES256))
        return r.to_bytes(_P256_BYTES) + s.to_bytes(_P256_BYTES)


class MessageSigner(Protocol):
    """What signs for a node: one key, one role."""

    @property
    def public(self) -> bytes:
        """Ed25519 public key, 32 bytes."""

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature, 64 bytes (deterministic, RFC 8032)."""


class NodeSigner:
    """An Ed25519 private key of a node."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature, 64 bytes (deterministic, RFC 8032)."""
        return self._key.sign(message)


@lru_cache(maxsize=_PARSED_KEYS)
def _parse_node_key(public_key: bytes) -> Ed25519PublicKey | None:
    try:
        return Ed25519PublicKey.from_public_bytes(public_key)
    except (ValueError, TypeError):
        return None


_SIGN_BIT = 0x80
_SMALL_ORDER = frozenset(
    bytes.fromhex(encoding)
    for encoding in (
        "01" + "00" * 31,  # order 1
        "ec" + "ff" * 30 + "7f",  # order 2
        "00" * 32,  # order 4
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",  # order 8
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",  # order 8
        "ed" + "ff" * 30 + "7f",  # 0 beyond the field
        "ee" + "ff" * 30 + "7f",  # 1 beyond the field
    )
)
"""The points of Ed25519 whose order divides the cofactor 8, in every encoding, without the sign of x."""


def check_node_key(public_key: bytes, name: str) -> None:
    """Refuse an Ed25519 key (32 bytes) of small order: under it anybody signs, for R and the key cancel each other out.

    `verify_node` does not look, as RFC 8032 5.1.7 does not ask it to: keys come from genesis, checked once.
    Raises Malformed; `name` is the field that it names.
    """
    if public_key[:-1] + bytes([public_key[-1] & ~_SIGN_BIT]) in _SMALL_ORDER:
        raise Malformed("an Ed25519 key of small order, under which anybody can sign", name)


def verify_node(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Ed25519: False for every bad input, never an exception."""
    if not all(isinstance(part, bytes) for part in (public_key, message, signature)) or len(signature) != 64:
        return False
    key = _parse_node_key(public_key)
    if key is None:
        return False
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def commitment_of(opening: bytes) -> str:
    """b64u(SHA-256(0x02 || opening)), the public face of a private value (decisions 2)."""
    return b64u_encode(sha256(b"\x02" + opening).digest())
