"""The one byte string of a value: canonical JSON (RFC 8785, restricted) and strict base64url.

Objects, arrays, strings, booleans and integers below 2^53; no floats, no nulls; keys are ASCII `[a-z0-9_.]`, so that
every language sorts them alike. Who reads bytes re-encodes what was read and compares: only one spelling exists.
It must not know what the values mean.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from typing import Any

import msgspec

from server.limits import INTEGER_MAX, JSON_DEPTH_MAX

_KEY = re.compile(r"[a-z0-9_.]{1,64}")
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")
_encoder = msgspec.json.Encoder(order="sorted")


class Malformed(ValueError):
    """The bytes are not of the declared shape. Raised before anything is ordered."""

    def __init__(self, detail: str, field: str = "") -> None:
        super().__init__(f"{field}: {detail}" if field else detail)
        self.detail = detail
        self.field = field


def encode(value: Any) -> bytes:
    """Canonical JSON of a value of the restricted model, or of a Struct made of such values.

    The caller vouches for the model: records come from `decode`, rows and headers from typed Structs.
    """
    return _encoder.encode(value)


def decode(data: bytes) -> Any:
    """The value of canonical JSON bytes. Raises Malformed for any other bytes, also for another spelling."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from None
    check_model(value)
    if encode(value) != data:
        raise Malformed("not canonical JSON")
    return value


def check_model(value: Any, depth: int = 0) -> None:
    """Raise Malformed unless `value` is of the restricted model: no floats, no nulls, bounded integers and depth."""
    if depth > JSON_DEPTH_MAX:
        raise Malformed("nested too deeply")
    if isinstance(value, dict):
        for key, item in value.items():
            if not _KEY.fullmatch(key):
                raise Malformed("a member's name is not of a-z, 0-9, underscore and dot", key[:64])
            check_model(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            check_model(item, depth + 1)
    elif type(value) is int:
        if abs(value) > INTEGER_MAX:
            raise Malformed("an integer is beyond 2^53")
    elif type(value) is not bool and not isinstance(value, str):
        raise Malformed("only objects, arrays, strings, booleans and integers are allowed")


def b64u_encode(data: bytes) -> str:
    """Base64url without padding."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def b64u_decode(text: str, length: int | None = None) -> bytes:
    """Strict base64url: no padding, zero trailing bits, `length` bytes where given. Raises Malformed."""
    try:
        raw = text.encode("ascii")
        data = binascii.a2b_base64(raw.translate(_FROM_URL) + b"=" * (-len(raw) % 4), strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        raise Malformed("not base64url") from None
    if b64u_encode(data) != text:
        raise Malformed("not base64url: another spelling of the same bytes")
    if length is not None and len(data) != length:
        raise Malformed(f"not base64url of {length} bytes")
    return data


def b64u_pattern(length: int) -> str:
    """Regular expression, unanchored, of exactly the texts that `b64u_encode` makes of `length` bytes (RFC 4648 3.5).

    The last character of an incomplete group has four or two bits that must be zero.
    """
    last = ("", "[AQgw]", "[AEIMQUYcgkosw048]")[length % 3]
    return f"[A-Za-z0-9_-]{{{length * 4 // 3}}}{last}"


def digest(data: bytes) -> str:
    """SHA-256 in base64url, 43 characters."""
    return b64u_encode(hashlib.sha256(data).digest())
