"""Random bodies are valid, repeatable, and reach the bounds of their types."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from server.domain import DERIVED, KINDS
from server.domain.ballot import Picked
from server.limits import PAYLOAD_BYTES_MAX
from server.record.canonical import decode, encode
from server.record.kind import DerivedKind, RecordKind, private_fields_of
from server.record.sample import Draw, pattern_parts, sample_body, sample_record, sample_value
from server.record.shape import Digest, Line, OptionalRecordId, Shape, open_private, parse


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.kind)
def test_a_body_of_every_kind_is_accepted_by_its_own_parser(kind: type[RecordKind]) -> None:
    for seed in range(50):
        body = encode(sample_record(kind, seed).body)
        assert len(body) < PAYLOAD_BYTES_MAX
        parse(kind, decode(body))


@pytest.mark.parametrize("kind", DERIVED.values(), ids=lambda kind: kind.kind)
def test_a_body_of_every_derived_kind_is_accepted(kind: type[DerivedKind]) -> None:
    for seed in range(50):
        parse(kind, decode(encode(sample_body(kind, seed))))


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.kind)
def test_private_fields_are_true_commitments(kind: type[RecordKind]) -> None:
    sample, private = sample_record(kind, 3), private_fields_of(kind)
    assert set(sample.openings) == {sample.body[name] for name in private}
    for name, value_type in private.items():
        open_private(value_type, sample.body[name], sample.openings[sample.body[name]])


def test_the_same_seed_gives_the_same_body_and_another_seed_another() -> None:
    kind = KINDS["ticket.report"]
    assert sample_record(kind, 5) == sample_record(kind, 5)
    assert len({encode(sample_record(kind, seed).body) for seed in range(50)}) == 50


def test_given_fields_stand_and_private_ones_are_sealed() -> None:
    sample = sample_record(KINDS["ballot.cast"], 1, {"choice": ["for"], "position": 7})
    [(commitment, opening)] = sample.openings.items()
    assert sample.body["position"] == 7
    assert open_private(Picked, commitment, opening) == ("for",)


class Bounded(Shape, frozen=True):
    """One field of each type that records hold."""

    few: Annotated[tuple[bool, ...], Meta(min_length=1, max_length=2)]
    line: Line
    number: Annotated[int, Meta(gt=2, lt=6)]
    optional: OptionalRecordId
    word: Literal["left", "right"]


def test_values_reach_the_bounds_of_their_types() -> None:
    drawn: list[dict[str, Any]] = [sample_body(Bounded, seed) for seed in range(200)]
    assert {one["number"] for one in drawn} == {3, 4, 5}
    assert {len(one["few"]) for one in drawn} == {1, 2}
    assert {one["word"] for one in drawn} == {"left", "right"}
    assert {len(one["optional"]) for one in drawn} == {0, 43}
    assert any(ord(character) > 0xFFFF for one in drawn for character in one["line"])


def test_a_pattern_that_cannot_be_sampled_is_named() -> None:
    assert len(pattern_parts(r"^[a-z]{2,20}\.[0-9]{1,2}$(?!\n)")) == 3
    for pattern in ("^a|b$", "^(a(b))?$", "^a+$", "^.*$"):
        with pytest.raises(ValueError, match="cannot sample"):
            pattern_parts(pattern)


def test_a_type_that_records_cannot_hold_is_named() -> None:
    with pytest.raises(TypeError, match="records hold no"):
        sample_value(float, Draw(1))


def test_a_digest_has_its_length() -> None:
    assert {len(sample_value(Digest, Draw(seed))) for seed in range(20)} == {43}
