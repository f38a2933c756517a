"""Rules of server.gateway.paper.codes: what the codes say, and that a page made by somebody else is not genuine."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from server.gateway.paper.codes import (
    CORNERS,
    corner_text,
    is_genuine,
    motion_tag,
    parse_corner,
    parse_token,
    token_text,
)

SERIALS = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=4, max_size=10)
DIGESTS = st.binary(min_size=32, max_size=32)
KEYS = st.binary(min_size=32, max_size=48)
PAGES = st.integers(1, 31)


@given(DIGESTS, SERIALS, PAGES, st.sampled_from(CORNERS))
def test_a_corner_code_says_what_was_written(digest: bytes, serial: str, page: int, corner: str) -> None:
    text = corner_text(digest, serial, page, corner)
    code = parse_corner(text)
    assert code is not None
    assert (code.tag, code.serial, code.page, code.corner) == (motion_tag(digest), serial, page, corner)
    assert len(text) <= 20, "QR version 1 with medium repair holds twenty capitals and digits"


@given(KEYS, DIGESTS, SERIALS, PAGES, PAGES)
def test_a_main_code_is_genuine_with_its_key_and_motion(
    key: bytes, digest: bytes, serial: str, page: int, pages: int
) -> None:
    text = token_text(key, digest, serial, page, pages)
    token = parse_token(text)
    assert token is not None
    assert (token.serial, token.page, token.pages) == (serial, page, pages)
    assert is_genuine(token, key, digest)
    assert len(text) <= 67, "QR version 4 with a quarter of repair"


@given(KEYS, KEYS, DIGESTS, DIGESTS, SERIALS, SERIALS)
def test_a_main_code_with_another_key_motion_serial_or_page_is_not(
    key: bytes, other_key: bytes, digest: bytes, other_digest: bytes, serial: str, other_serial: str
) -> None:
    token = parse_token(token_text(key, digest, serial, 1, 2))
    assert token is not None
    assert is_genuine(token, other_key, digest) == (key == other_key)
    assert is_genuine(token, key, other_digest) == (digest == other_digest)
    assert is_genuine(replace(token, serial=other_serial), key, digest) == (serial == other_serial)
    assert not is_genuine(replace(token, page=2), key, digest)
    assert not is_genuine(replace(token, pages=1), key, digest)


@given(st.one_of(st.text(max_size=80), SERIALS.map("L1AAAA{}.1A".format).map(str.lower)))
def test_other_codes_are_no_codes_of_ours(text: str) -> None:
    assert parse_token(text) is None
    found = parse_corner(text)
    assert found is None or text == f"L1{found.tag}{found.serial}.{text[-2]}{found.corner}"
