"""Declared shapes: fields are the parser; private fields are commitments with openings."""

from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from server.record.canonical import Malformed, b64u_decode
from server.record.shape import (
    SALT_BYTES,
    Digest,
    Hex256,
    Line,
    MemberId,
    NodeId,
    Opens,
    OptionalRecordId,
    RecordId,
    Shape,
    Text,
    TimeMs,
    open_private,
    parse,
    private_fields,
    seal,
)
from tests.vector_files import vector_cases

SALT = bytes(range(SALT_BYTES))
Choice = Annotated[str, Meta(pattern="^(for|against)$")]


class Sample(Shape, frozen=True):
    """A shape with one of everything."""

    choice: Annotated[Digest, Opens(Choice)]
    count: Annotated[int, Meta(ge=0, le=10)]
    members: tuple[MemberId, ...]
    note: Line


GOOD: dict[str, Any] = {"choice": "A" * 43, "count": 3, "members": ["m-1"], "note": "电梯"}


def test_exactly_the_declared_members_are_read() -> None:
    assert parse(Sample, GOOD) == Sample(choice="A" * 43, count=3, members=("m-1",), note="电梯")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"count": 11}, "count"),
        ({"count": -1}, "count"),
        ({"count": "3"}, "count"),
        ({"count": True}, "count"),
        ({"members": ["m-1", "M"]}, "members[1]"),
        ({"members": "m-1"}, "members"),
        ({"note": ""}, "note"),
        ({"note": "two\nlines"}, "note"),
        ({"choice": "A" * 42}, "choice"),
        ({"extra": 1}, ""),
    ],
)
def test_any_other_value_is_malformed_and_the_field_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse(Sample, GOOD | change)
    assert refused.value.field == field
    assert refused.value.detail


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_member_is_malformed(name: str) -> None:
    with pytest.raises(Malformed):
        parse(Sample, {member: value for member, value in GOOD.items() if member != name})


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Digest, "A" * 43),
        (OptionalRecordId, ""),
        (Hex256, "0" * 64),
        (NodeId, "street"),
        (MemberId, "m-1"),
        (Line, "一行"),
    ],
)
def test_a_pattern_ends_at_the_end_of_the_text(kind: Any, text: str) -> None:
    """Python's `$` alone would let a trailing newline pass."""
    assert parse(kind, text) == text
    with pytest.raises(Malformed):
        parse(kind, text + "\n")


@pytest.mark.parametrize("last", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
def test_a_digest_has_one_spelling(last: str) -> None:
    """256 bits in 43 characters leave two bits over; they are zero, as in all that we encode ourselves."""
    for kind in (Digest, RecordId, OptionalRecordId):
        if last in "AEIMQUYcgkosw048":
            assert parse(kind, "_" * 42 + last)
        else:
            with pytest.raises(Malformed):
                parse(kind, "_" * 42 + last)


def test_a_text_may_have_lines_but_no_control_characters() -> None:
    assert parse(Text, "一\n二") == "一\n二"
    for text in ("a\x00", "a\r\nb", "a\x1b[31m", "a" * 4001):
        with pytest.raises(Malformed):
            parse(Text, text)


def test_a_time_is_a_whole_number_of_milliseconds() -> None:
    assert parse(TimeMs, 1) == 1
    for value in (0, -1, 1.5, "1", True, 2**53):
        with pytest.raises(Malformed):
            parse(TimeMs, value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_any_value_is_parsed_or_malformed(value: Any) -> None:
    for shape in (Sample, Digest, TimeMs, Line):
        try:
            parse(shape, value)
        except Malformed:
            continue


def test_private_fields_are_found_with_the_type_behind_them() -> None:
    assert private_fields(Sample) == {"choice": Choice}


def test_a_private_value_is_opened_by_its_opening_only() -> None:
    commitment, opening = seal("for", SALT)
    assert open_private(Choice, commitment, opening) == "for"
    with pytest.raises(Malformed):
        open_private(Choice, commitment, seal("against", SALT)[1])
    with pytest.raises(Malformed):
        open_private(Choice, commitment, bytes(SALT_BYTES) + opening[SALT_BYTES:])


def test_equal_values_with_other_salts_have_other_commitments() -> None:
    assert seal("for", SALT)[0] != seal("for", SALT[::-1])[0]


def test_an_opened_value_must_be_of_its_type() -> None:
    commitment, opening = seal("perhaps", SALT)
    with pytest.raises(Malformed):
        open_private(Choice, commitment, opening)


@pytest.mark.parametrize("case", vector_cases("openings.json"))
def test_openings_are_decided_as_the_vectors_say(case: dict[str, Any]) -> None:
    if case["valid"]:
        assert open_private(Any, case["commitment"], b64u_decode(case["opening"])) == case["value"]
    else:
        with pytest.raises(Malformed):
            open_private(Any, case["commitment"], b64u_decode(case["opening"]))


def test_a_digest_is_checked_to_the_last_bit() -> None:
    assert parse(Digest, "A" * 43)
    for text in ("A" * 42 + "B", "A" * 44, "A" * 42, ""):
        with pytest.raises(Malformed):
            parse(Digest, text)
