"""The texts of the QR codes on a ballot, and the check that tells a printed page from a forged one. Pure.

Four *corner codes* say which page this is and where its corners are: `L1`, four characters of the motion, the serial, a
point, the page and the corner. They fit QR version 1, whose modules are the largest. One *main code* carries the same
with a check: `L1B:<serial>:<page>:<pages>:<motion, 16 characters>:<check, 26 characters>`, upper case throughout,
because QR packs capitals and digits best.

The check is HMAC-SHA-256, cut to 128 bits, over serial, page, pages and the whole motion digest, with a key of those
who print. A signature that anybody could verify takes four times the room, and nobody but those who count needs it: to
everybody else the ledger's list of printed serials tells what was printed. The check stops a home-made ballot, not a
copied one; that a serial came twice is for the caller to see.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from dataclasses import dataclass
from hashlib import sha256

CORNERS = "ABCD"
"""Top left, top right, bottom left, bottom right."""
PAGES_MAX = 31
"""A page's number is one character of _DIGITS."""
CHECK_KEY_BYTES_MIN = 32
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
_TAG_LENGTH = 4
_MOTION_LENGTH = 16
_CHECK_LENGTH = 26
_CORNER = re.compile(r"L1([A-Z2-7]{4})([0-9A-Z]{4,10})\.([1-9A-V])([A-D])")
_TOKEN = re.compile(r"L1B:([0-9A-Z]{4,10}):([1-9]\d?):([1-9]\d?):([A-Z2-7]{16}):([A-Z2-7]{26})")


@dataclass(frozen=True, slots=True)
class CornerCode:
    """What a corner code says. `tag` is short for the motion: 20 bits tell motions apart, not forgeries."""

    tag: str
    serial: str
    page: int
    corner: str


@dataclass(frozen=True, slots=True)
class PageToken:
    """What the main code says; nothing of it is true before `is_genuine`."""

    serial: str
    page: int
    pages: int
    motion: str
    check: str


def motion_tag(digest: bytes) -> str:
    """Four characters that stand for a motion in corner codes."""
    return _base32(digest)[:_TAG_LENGTH]


def corner_text(digest: bytes, serial: str, page: int, corner: str) -> str:
    """The text of one corner code; `page` from 1 to PAGES_MAX."""
    return f"L1{motion_tag(digest)}{serial}.{_DIGITS[page]}{corner}"


def parse_corner(text: str) -> CornerCode | None:
    """What a code says, or None for any other code."""
    found = _CORNER.fullmatch(text)
    if found is None:
        return None
    tag, serial, page, corner = found.groups()
    return CornerCode(tag, serial, _DIGITS.index(page), corner)


def token_text(key: bytes, digest: bytes, serial: str, page: int, pages: int) -> str:
    """The text of the main code of one page. `key`: at least 32 random bytes, kept by those who print and count."""
    assert len(key) >= CHECK_KEY_BYTES_MIN, "the key of the check is as long as its digest"
    check = _check(key, digest, serial, page, pages)
    return f"L1B:{serial}:{page}:{pages}:{_base32(digest)[:_MOTION_LENGTH]}:{check}"


def parse_token(text: str) -> PageToken | None:
    """What a main code claims, or None for any other code."""
    found = _TOKEN.fullmatch(text)
    if found is None:
        return None
    serial, page, pages, motion, check = found.groups()
    return PageToken(serial, int(page), int(pages), motion, check)


def is_genuine(token: PageToken, key: bytes, digest: bytes) -> bool:
    """Was this page printed with this key for this motion?"""
    expected = _check(key, digest, token.serial, token.page, token.pages)
    same_motion = token.motion == _base32(digest)[:_MOTION_LENGTH]
    return hmac.compare_digest(expected, token.check) and same_motion


def _check(key: bytes, digest: bytes, serial: str, page: int, pages: int) -> str:
    message = b"linli/paper\n" + digest + f"\n{serial}\n{page}\n{pages}\n".encode()
    return _base32(hmac.digest(key, message, sha256)[:16])[:_CHECK_LENGTH]


def _base32(data: bytes) -> str:
    return b32encode(data).decode().rstrip("=")
