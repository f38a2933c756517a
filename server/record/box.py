"""The box of a ballot: its opening, encrypted so that only a majority of the organisations together can read it (D35).

The phone draws one seed, and everything else follows from it: the key of the content, the polynomial that shares the
seed among the organisations, the ephemeral key that seals the shares. Whoever recovers the seed therefore makes the
whole box again and compares it byte for byte (Fujisaki and Okamoto, CRYPTO 1999): a box is either exactly what an
honest phone would have made, or void, and every set of organisations large enough to open decides that alike.

    box = version(1) || ephemeral public key(32) || content(64 + 16) || sealed share(32 + 16) for each organisation

X25519 (RFC 7748), HKDF-SHA-256 (RFC 5869), ChaCha20-Poly1305 (RFC 8439). One ephemeral key serves all organisations:
the recipient's public key goes into each share's key (Bellare, Boldyreva, Kurosawa, Staddon, IEEE-IT 2007), which saves
the phone a multiplication for each. Nonces are zero, because each key seals once. It must not know rows, files or time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.record.canonical import Malformed, b64u_encode, encode
from server.record.shares import combine, split, threshold_of
from server.record.signature import commitment_of

KEY_BYTES = 32
"""A seed, a private and a public key of X25519, a share."""
CONTENT_BYTES = 64
"""An opening with its length before it and zeros behind it: boxes of all choices are of one length."""
OPENING_BYTES_MAX = CONTENT_BYTES - 1
"""Salt and the longest `Name` in quotation marks are 50."""
VERSION = b"\x01"
_TAG_BYTES = 16
_SHARES_AT = len(VERSION) + KEY_BYTES + CONTENT_BYTES + _TAG_BYTES
_SEALED_SHARE_BYTES = KEY_BYTES + _TAG_BYTES
_NONCE = bytes(12)
_FIELD = 2**255 - 19
_ANY_PRIVATE_KEY = bytes(KEY_BYTES)
"""Clamping makes a multiple of 8 of it, so keys of small order give zero and all others do not."""


@dataclass(frozen=True)
class BoxContext:
    """Which ballot a box belongs to, and for whom it is sealed: bound into every key, so a box fits no other ballot.

    `keys` are the organisations' X25519 public keys for this motion, in the order of members; `commitment` is the one
    that the ballot's record carries.
    """

    cluster_id: bytes
    commitment: str
    keys: tuple[bytes, ...]
    motion: str
    position: int
    question: str

    @property
    def threshold(self) -> int:
        """How many of the organisations open the box together."""
        return threshold_of(len(self.keys))

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of `linli/box` and the canonical context, 32 bytes."""
        members = {
            "cluster_id": b64u_encode(self.cluster_id),
            "commitment": self.commitment,
            "keys": [b64u_encode(key) for key in self.keys],
            "motion": self.motion,
            "position": self.position,
            "question": self.question,
            "threshold": self.threshold,
        }
        return sha256(b"linli/box\n" + encode(members)).digest()


def box_bytes(members: int) -> int:
    """Length of every box for so many organisations."""
    return _SHARES_AT + members * _SEALED_SHARE_BYTES


def box_key_of(private_key: bytes) -> bytes:
    """The public key (32 bytes) of an X25519 private key: 32 random bytes, clamped by RFC 7748 5."""
    return X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def check_box_key(public_key: bytes, name: str) -> None:
    """Refuse a public key that is no 32 bytes in their one spelling, or of small order: anybody would know its secrets.

    Raises Malformed; `name` is the field that it names.
    """
    if len(public_key) != KEY_BYTES or int.from_bytes(public_key, "little") >= _FIELD:
        raise Malformed("not an X25519 public key", name)
    if _agree(_ANY_PRIVATE_KEY, public_key) is None:
        raise Malformed("an X25519 key of small order, whose secrets everybody knows", name)


def seal_box(opening: bytes, seed: bytes, context: BoxContext) -> bytes:
    """The box of an opening (at most 63 bytes). `seed` is 32 random bytes of the caller's, for this box alone."""
    assert len(seed) == KEY_BYTES and len(opening) <= OPENING_BYTES_MAX
    ephemeral = _derive(seed, context, b"ephemeral")
    coefficients = [_derive(seed, context, b"coefficient %d" % power) for power in range(1, context.threshold)]
    shares = split(seed, coefficients, len(context.keys))
    ephemeral_key = box_key_of(ephemeral)
    content = ChaCha20Poly1305(_derive(seed, context, b"content")).encrypt(_NONCE, _pad(opening), None)
    sealed = [
        _seal_share(share, _agree(ephemeral, key), ephemeral_key, key, context)
        for key, share in zip(context.keys, shares, strict=True)
    ]
    return b"".join((VERSION, ephemeral_key, content, *sealed))


def open_box(box: bytes, context: BoxContext, private_keys: Mapping[int, bytes]) -> bytes | None:
    """The opening in a box, or None when the box is void. `private_keys` by number of the organisation, from 0.

    There must be a threshold of keys, each fitting its public key (`box_key_of`). Which ones they are changes nothing.
    """
    assert len(private_keys) >= context.threshold
    if len(box) != box_bytes(len(context.keys)):
        return None
    shares: dict[int, bytes] = {}
    for number in sorted(private_keys)[: context.threshold]:
        share = _open_share(box, number, private_keys[number], context)
        if share is None:
            return None
        shares[number] = share
    return open_with_seed(box, context, combine(shares))


def open_with_seed(box: bytes, context: BoxContext, seed: bytes) -> bytes | None:
    """The opening in the box that was made of this seed: how a voter's own phone reads it. None when the box is void.

    Void is whatever `seal_box` does not make: another byte anywhere, padding that is not zero, another commitment.
    """
    content = box[len(VERSION) + KEY_BYTES : _SHARES_AT]
    padded = _decrypt(ChaCha20Poly1305(_derive(seed, context, b"content")), content)
    if padded is None or padded[0] > OPENING_BYTES_MAX:
        return None
    opening = padded[1 : 1 + padded[0]]
    if commitment_of(opening) != context.commitment or seal_box(opening, seed, context) != box:
        return None
    return opening


def _seal_share(share: bytes, agreed: bytes | None, ephemeral_key: bytes, key: bytes, context: BoxContext) -> bytes:
    assert agreed is not None, "the organisations' keys were checked"
    return _share_cipher(agreed, ephemeral_key, key, context).encrypt(_NONCE, share, None)


def _open_share(box: bytes, number: int, private_key: bytes, context: BoxContext) -> bytes | None:
    start = _SHARES_AT + number * _SEALED_SHARE_BYTES
    ephemeral_key = box[len(VERSION) : len(VERSION) + KEY_BYTES]
    agreed = _agree(private_key, ephemeral_key)
    if agreed is None:
        return None
    cipher = _share_cipher(agreed, ephemeral_key, context.keys[number], context)
    return _decrypt(cipher, box[start : start + _SEALED_SHARE_BYTES])


def _share_cipher(agreed: bytes, ephemeral_key: bytes, key: bytes, context: BoxContext) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(_derive(agreed, context, b"share" + ephemeral_key + key))


def _agree(private_key: bytes, public_key: bytes) -> bytes | None:
    """The secret of X25519, or None where it would be zero (RFC 7748 6.1)."""
    try:
        return X25519PrivateKey.from_private_bytes(private_key).exchange(X25519PublicKey.from_public_bytes(public_key))
    except ValueError:
        return None


def _derive(secret: bytes, context: BoxContext, purpose: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=context.digest, info=purpose).derive(secret)


def _decrypt(cipher: ChaCha20Poly1305, sealed: bytes) -> bytes | None:
    try:
        return cipher.decrypt(_NONCE, sealed, None)
    except InvalidTag:
        return None


def _pad(opening: bytes) -> bytes:
    return (bytes([len(opening)]) + opening).ljust(CONTENT_BYTES, b"\x00")
