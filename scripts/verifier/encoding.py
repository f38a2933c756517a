"""Strict encodings: canonical JSON, base64 in two forms, SHA-256. One value has one byte string (DESIGN.md 2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import Any, NoReturn

INTEGER_MAX = 2**53 - 1
DEPTH_MAX = 8
HASH_BYTES = 32
_KEY = re.compile(r"[a-z0-9_.]{1,64}")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


class Rejected(Exception):
    """What was given does not hold. `fault` is the short code of schemas/vectors, `detail` a sentence."""

    def __init__(self, fault: str, detail: str) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.detail = detail


def sha256(*parts: bytes) -> bytes:
    """SHA-256 of the parts, one after the other."""
    return hashlib.sha256(b"".join(parts)).digest()


def parse_canonical(data: bytes, fault: str) -> Any:
    """The value of canonical JSON bytes; Rejected with `fault` for any other bytes."""
    try:
        value = json.loads(data.decode("utf-8"), parse_float=_refuse_number, parse_constant=_refuse_number)
    except (ValueError, RecursionError):
        raise Rejected(fault, "not JSON of our model") from None
    _check_model(value, 0, fault)
    try:
        again = canonical(value)
    except UnicodeEncodeError:
        raise Rejected(fault, "half a character") from None
    if again != data:
        raise Rejected(fault, "not canonical JSON")
    return value


def canonical(value: Any) -> bytes:
    """Canonical JSON of a value of our model: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(text)


def _check_model(value: Any, depth: int, fault: str) -> None:
    if depth > DEPTH_MAX:
        raise Rejected(fault, "nested too deeply")
    if isinstance(value, dict):
        for key, item in value.items():
            if not _KEY.fullmatch(key):
                raise Rejected(fault, "a member's name is not of a-z, 0-9, underscore and dot")
            _check_model(item, depth + 1, fault)
    elif isinstance(value, list):
        for item in value:
            _check_model(item, depth + 1, fault)
    elif value is None or (type(value) is int and abs(value) > INTEGER_MAX):
        raise Rejected(fault, "a null, or an integer beyond 2^53")


def members(value: Any, names: str, fault: str) -> dict[str, Any]:
    """`value` as an object with exactly these members (space-separated), or Rejected."""
    if not isinstance(value, dict) or value.keys() != set(names.split()):
        raise Rejected(fault, f"the members must be exactly: {names}")
    return value


def is_count(value: object) -> bool:
    """Whether it is an integer from 0."""
    return type(value) is int and value >= 0


def b64(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode()


def unb64(text: str, fault: str) -> bytes:
    """Strict standard base64, padded; Rejected with `fault`."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Rejected(fault, "not base64") from None
    if b64(data) != text:
        raise Rejected(fault, "base64 in another spelling")
    return data


def b64u(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64u(text: object, fault: str, length: int | None = None) -> bytes:
    """Strict base64url: no padding, zero trailing bits, `length` bytes where given; Rejected with `fault`."""
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        raise Rejected(fault, "not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64u(data) != text:
        raise Rejected(fault, "base64url in another spelling")
    if length is not None and len(data) != length:
        raise Rejected(fault, f"not {length} bytes")
    return data
