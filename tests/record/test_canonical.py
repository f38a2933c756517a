"""Canonical JSON and base64url: one value has one byte string, and nothing but Malformed comes out of bad bytes."""

import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samples import seed
from server.limits import INTEGER_MAX, JSON_DEPTH_MAX
from server.record.canonical import Malformed, b64u_decode, b64u_encode, b64u_pattern, decode, digest, encode
from tests.vector_files import vector_cases

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789_.", min_size=1, max_size=8)
INTEGERS = st.integers(-INTEGER_MAX, INTEGER_MAX)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = st.recursive(
    st.booleans() | INTEGERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def depth_of(value: Any) -> int:
    items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return 1 + max(map(depth_of, items), default=-1) if isinstance(value, dict | list) else 0


def bytes_of(case: dict[str, Any]) -> bytes:
    return case["text"].encode() if "text" in case else bytes.fromhex(case["hex"])


@pytest.mark.parametrize("case", vector_cases("canonical.json", valid=True))
def test_canonical_bytes_are_read_and_written_alike(case: dict[str, Any]) -> None:
    assert decode(bytes_of(case)) == case["value"]
    assert encode(case["value"]) == bytes_of(case)


@pytest.mark.parametrize("case", vector_cases("canonical.json", valid=False))
def test_any_other_bytes_are_malformed(case: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        decode(bytes_of(case))


@given(VALUES)
def test_every_value_of_the_model_survives(value: Any) -> None:
    data = encode(value)
    if depth_of(value) > JSON_DEPTH_MAX:
        with pytest.raises(Malformed):
            decode(data)
    else:
        assert decode(data) == value


@given(VALUES)
def test_the_bytes_are_those_of_python_s_own_sorted_json(value: Any) -> None:
    assert encode(value) == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@given(st.binary(max_size=200) | st.text('{}[]",:0123456789.eE-ntf\\ua', max_size=60).map(str.encode))
def test_bad_bytes_raise_malformed_and_nothing_else(data: bytes) -> None:
    try:
        value = decode(data)
    except Malformed:
        return
    assert encode(value) == data


@given(VALUES, st.data())
def test_no_second_spelling_of_a_value_is_accepted(value: Any, chance: st.DataObject) -> None:
    data = encode(value)
    place = chance.draw(st.integers(0, len(data)))
    changed = data[:place] + chance.draw(st.sampled_from([b" ", b"\n", b"\t"])) + data[place:]
    with suppress(Malformed):
        assert decode(changed) != value  # a space inside of a string is another string


@pytest.mark.parametrize("nesting", [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 50_000])
def test_deep_nesting_is_malformed_and_does_not_exhaust_the_stack(nesting: bytes) -> None:
    with pytest.raises(Malformed):
        decode(nesting)


@pytest.mark.parametrize("case", vector_cases("base64url.json"))
def test_base64url_is_strict(case: dict[str, Any]) -> None:
    if case["valid"]:
        assert b64u_decode(case["text"]) == bytes.fromhex(case["hex"])
        assert b64u_encode(bytes.fromhex(case["hex"])) == case["text"]
    else:
        with pytest.raises(Malformed):
            b64u_decode(case["text"])


@given(st.binary(max_size=100))
def test_base64url_gives_back_every_byte_string(data: bytes) -> None:
    assert b64u_decode(b64u_encode(data), len(data)) == data


@given(st.text(max_size=30) | st.text("ABCyz-_019=", max_size=12))
def test_only_the_one_spelling_of_base64url_is_accepted(text: str) -> None:
    try:
        data = b64u_decode(text)
    except Malformed:
        return
    assert b64u_encode(data) == text


@pytest.mark.parametrize("length", [1, 2, 3, 16, 31, 32, 33, 64])
def test_the_pattern_of_a_length_fits_exactly_what_is_decoded_to_it(length: int) -> None:
    good = b64u_encode(seed("pattern") + seed("more"))[: -(-length * 4 // 3)]
    pattern, decided = re.compile(b64u_pattern(length)), set()
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= \n\u0661":
        for text in (good[:-1] + last, good + last, good[:-1]):
            try:
                fits = len(b64u_decode(text)) == length
            except Malformed:
                fits = False
            assert (pattern.fullmatch(text) is not None) is fits, text
            decided.add(fits)
    assert decided == {True, False}


def test_base64url_of_another_length_is_malformed() -> None:
    with pytest.raises(Malformed):
        b64u_decode(b64u_encode(bytes(31)), 32)


def test_a_digest_is_43_characters_of_base64url() -> None:
    # SHA-256 of nothing, FIPS 180-4
    assert digest(b"") == "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
