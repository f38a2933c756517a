"""The signed envelope of a record: JWS compact, ES256, byte for byte as decisions 1 fixes it.

Parsing checks the bytes and the shape of the envelope; the body stays a plain object until its kind is known. It must
not know any record kind.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from server.limits import PAYLOAD_BYTES_MAX, RECORD_BYTES_MAX, RECORD_LIFE_MS_MAX
from server.record.canonical import Malformed, b64u_decode, b64u_encode, b64u_pattern, decode, digest, encode
from server.record.shape import Digest, MemberId, TimeMs, parse
from server.record.signature import DeviceSigner, verify

RECORD_TYPE = "linli-record+jws"
SESSION_TYPE = "linli-session+jws"
_HEADERS_KEPT = 4_096
_KID_BEGIN = len('{"alg":"ES256","kid":"')


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The seven members of a record's payload."""

    author: MemberId
    body: dict[str, Any]
    estate: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}\.[A-Za-z0-9_-]{22}$(?!\n)")]
    expires_ms: TimeMs
    kind: Annotated[str, Meta(pattern=r"^[a-z]{2,20}\.[a-z]{2,20}(\.[0-9]{1,2})?$(?!\n)")]
    made_ms: TimeMs
    nonce: Annotated[str, Meta(pattern=rf"^{b64u_pattern(16)}$(?!\n)")]


class Envelope(msgspec.Struct, frozen=True):
    """A parsed record whose signature has not been checked yet."""

    jws: str
    id: Digest
    kid: Digest
    payload: Payload

    @property
    def signing_input(self) -> bytes:
        """What the device signed: header "." payload."""
        return self.jws.rpartition(".")[0].encode()

    @property
    def signature(self) -> bytes:
        """r || s, 64 bytes."""
        return b64u_decode(self.jws.rpartition(".")[2])


def header_bytes(kid: str, typ: str = RECORD_TYPE) -> bytes:
    """The one JWS header of a key."""
    return encode({"alg": "ES256", "kid": kid, "typ": typ})


def estate_name(estate_id: str, cluster_id: bytes) -> str:
    """`<estate id>.<first 22 characters of b64u(cluster_id)>`: a record never fits another genesis."""
    return f"{estate_id}.{b64u_encode(cluster_id)[:22]}"


def parse_record(jws: str, estate: str) -> Envelope:
    """Parse a record of this estate. Raises Malformed for anything but the exact form; checks no signature."""
    if len(jws) > RECORD_BYTES_MAX:
        raise Malformed("the record is too large", "record")
    head, kid, content = split_jws(jws, RECORD_TYPE)
    if len(content) > PAYLOAD_BYTES_MAX:
        raise Malformed("the payload is too large", "record")
    payload = parse(Payload, decode(content))
    if payload.estate != estate:
        raise Malformed("the record is for another estate", "estate")
    if not 0 < payload.expires_ms - payload.made_ms <= RECORD_LIFE_MS_MAX:
        raise Malformed("expires_ms must lie at most 24 hours after made_ms", "expires_ms")
    return Envelope(jws, digest(head.encode()), kid, payload)


def split_jws(jws: str, typ: str) -> tuple[str, str, bytes]:
    """(signing input, kid, payload bytes) of a compact JWS with our exact header. Raises Malformed."""
    head, _, signature = jws.rpartition(".")
    header, dot, content = head.partition(".")
    if not dot or "." in content:
        raise Malformed("not a JWS in compact form", "record")
    kid = _kid_of(header, typ)
    b64u_decode(signature, 64)
    return head, kid, b64u_decode(content)


@lru_cache(maxsize=_HEADERS_KEPT)
def _kid_of(encoded: str, typ: str) -> str:
    """The kid of an encoded header; a device's header is the same every time."""
    header = b64u_decode(encoded)
    kid = header[_KID_BEGIN : _KID_BEGIN + 43].decode("ascii", "replace")
    if header != header_bytes(kid, typ):
        raise Malformed("not the header of a record", "record")
    b64u_decode(kid, 32)
    return kid


def is_signed_by(envelope: Envelope, point: bytes) -> bool:
    """Does the signature belong to the key with this SEC 1 point? The caller ties point and kid."""
    return verify(point, envelope.signing_input, envelope.signature)


def sign_jws(signer: DeviceSigner, payload: bytes, typ: str = RECORD_TYPE) -> str:
    """A compact JWS over payload bytes."""
    head = f"{b64u_encode(header_bytes(signer.kid, typ))}.{b64u_encode(payload)}"
    return f"{head}.{b64u_encode(signer.sign(head.encode()))}"


def sign_record(signer: DeviceSigner, payload: Payload) -> str:
    """Make a record, as a phone does."""
    return sign_jws(signer, encode(payload))
