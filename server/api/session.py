"""Access tokens of this node: short, issued to a device that proved its key, accepted here only (decisions 15).

The one importer of `jwt`. HS256 with a key that only this node has: a token is never shown to another node, and reading
it costs 68 us where ES256 costs 144 us. It must not know where sessions are stored.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from hashlib import sha256

import jwt
import msgspec

from server.api.errors import Declined
from server.gateway.clock import Clock
from server.limits import SECOND_MS
from server.record.canonical import b64u_decode, b64u_encode, decode, digest
from server.record.envelope import SESSION_TYPE, split_jws
from server.record.shape import Digest, NodeId, Shape, parse
from server.record.signature import DeviceKey, verify

ACCESS_LIFE_S = 600
"""api.md: at most ten minutes."""
CHALLENGE_LIFE_MS = 60 * SECOND_MS
CHALLENGE_BYTES = 32
SECRET_BYTES_MIN = 32
"""RFC 7518 3.2: as long as the hash at least."""
PROOF_BYTES_MAX = 2_000
TOKEN_BYTES_MAX = 2_000
TOKENS_KEPT = 10_000
"""Decoded tokens kept: a phone sends the same one for ten minutes."""
_CLAIMS = ["exp", "iat", "iss", "aud", "sub", "jti"]


class Claims(msgspec.Struct, frozen=True):
    """What a token says: the member, the device's kid, and the family of refresh tokens it came from."""

    member: str
    kid: str
    family: str
    expires_ms: int


class _Members(msgspec.Struct, frozen=True):
    """The members of a token that we read ourselves, with their types."""

    exp: int
    family: str
    iat: int
    kid: str
    sub: str


class Proof(Shape, frozen=True):
    """Payload of a session proof (DESIGN.md 2.6)."""

    challenge: Digest
    cluster_id: Digest
    node: NodeId


class SignedProof(msgspec.Struct, frozen=True):
    """A parsed proof whose signature has not been checked yet."""

    kid: str
    proof: Proof
    signing_input: bytes
    signature: str


class Tokens:
    """Mutable. Issues and reads the access tokens of one node."""

    def __init__(self, node_id: str, cluster_id: bytes, secret: bytes, clock: Clock) -> None:
        assert len(secret) >= SECRET_BYTES_MIN, "PyJWT takes any key"
        self._issuer = node_id
        self._audience = b64u_encode(cluster_id)
        self._clock = clock
        self._secret = secret
        self._key_id = digest(b"linli/token\n" + secret)[:8]
        self._read: OrderedDict[bytes, Claims] = OrderedDict()
        self._ended: OrderedDict[str, int] = OrderedDict()

    def issue(self, member: str, kid: str, family: str) -> tuple[str, int]:
        """A new token and the time of its end in milliseconds."""
        now_s = self._clock.now_ms() // SECOND_MS
        claims = {
            "aud": self._audience,
            "exp": now_s + ACCESS_LIFE_S,
            "family": family,
            "iat": now_s,
            "iss": self._issuer,
            "jti": secrets.token_urlsafe(12),
            "kid": kid,
            "sub": member,
        }
        token = jwt.encode(claims, self._secret, algorithm="HS256", headers={"kid": self._key_id})
        return token, (now_s + ACCESS_LIFE_S) * SECOND_MS

    def read(self, token: str) -> Claims:
        """The claims of a token of ours that holds now. Raises Declined."""
        if len(token) > TOKEN_BYTES_MAX:
            raise Declined("session_invalid")
        name = sha256(token.encode("utf-8", "replace")).digest()
        claims = self._read.get(name)
        if claims is None:
            claims = self._decode(token)
            self._read[name] = claims
            if len(self._read) > TOKENS_KEPT:
                self._read.popitem(last=False)
        if claims.expires_ms <= self._clock.now_ms():
            self._read.pop(name, None)
            raise Declined("session_expired")
        if claims.family in self._ended:
            raise Declined("session_expired")
        return claims

    def end(self, family: str) -> None:
        """Tokens of this family hold no longer."""
        now_ms = self._clock.now_ms()
        self._ended[family] = now_ms + ACCESS_LIFE_S * SECOND_MS
        self._ended.move_to_end(family)
        while self._ended and next(iter(self._ended.values())) <= now_ms:
            self._ended.popitem(last=False)

    def _decode(self, token: str) -> Claims:
        """Signature, names, required claims by PyJWT; times and the longest life by ourselves (dependencies 2.6)."""
        options: jwt.types.Options = {"require": _CLAIMS, "verify_exp": False, "verify_iat": False, "verify_nbf": False}
        try:
            claims = jwt.decode(
                token, self._secret, algorithms=["HS256"], audience=self._audience, issuer=self._issuer, options=options
            )
            read = msgspec.convert(claims, _Members)
        except (jwt.InvalidTokenError, msgspec.ValidationError, ValueError, OverflowError, RecursionError):
            raise Declined("session_invalid") from None
        life_s = read.exp - read.iat
        if not 0 < life_s <= ACCESS_LIFE_S or read.iat * SECOND_MS > self._clock.now_ms() + SECOND_MS:
            raise Declined("session_invalid")
        return Claims(read.sub, read.kid, read.family, read.exp * SECOND_MS)


class Challenges:
    """Makes challenges and knows them again: time, chance, and our mark on both. None is stored before it is used.

    A table of open challenges could be filled by strangers until those of others fall out of it.
    """

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def make(self) -> str:
        """32 bytes in base64url: 8 of time, 8 of chance, 16 of HMAC-SHA256."""
        content = self._clock.now_ms().to_bytes(8) + secrets.token_bytes(8)
        return b64u_encode(content + self._mark(content))

    def is_fresh(self, challenge: str) -> bool:
        """Did we make it within the last minute?"""
        data = b64u_decode(challenge, CHALLENGE_BYTES)
        age_ms = self._clock.now_ms() - int.from_bytes(data[:8])
        return hmac.compare_digest(data[16:], self._mark(data[:16])) and 0 <= age_ms < CHALLENGE_LIFE_MS

    def _mark(self, content: bytes) -> bytes:
        return hmac.digest(self._secret, b"linli/challenge\n" + content, sha256)[:16]


def parse_proof(jws: str) -> SignedProof:
    """A session proof of the exact form. Raises Malformed; checks no signature."""
    signing_input, kid, content = split_jws(jws, SESSION_TYPE)
    proof = parse(Proof, decode(content))
    return SignedProof(kid, proof, signing_input.encode(), jws.rpartition(".")[2])


def is_proven(signed: SignedProof, key: DeviceKey, node_id: str, cluster_id: bytes) -> bool:
    """Did this key sign the proof, for this node and this cluster?"""
    proof = signed.proof
    meant_for_us = proof.node == node_id and proof.cluster_id == b64u_encode(cluster_id)
    return meant_for_us and verify(key.point(), signed.signing_input, b64u_decode(signed.signature))
