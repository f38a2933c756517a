"""Schemas and the typed client are generated: what is committed is what the declarations give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from generate import find_stale, generate
from server.api.openapi import describe_kind, refusals_of
from server.domain import KINDS
from server.record.canonical import Malformed
from server.record.sample import sample_record
from server.record.shape import parse

ROOT = Path(__file__).parents[2]


def test_schemas_and_client_are_what_the_declarations_give() -> None:
    assert find_stale(generate()) == []


@pytest.mark.parametrize("name", sorted(KINDS))
def test_schema_of_a_kind_takes_what_the_parser_takes(name: str) -> None:
    kind = KINDS[name]
    schema = json.loads((ROOT / "schemas" / "records" / f"{name}.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for seed in range(20):
        sample = sample_record(kind, seed)
        assert list(validator.iter_errors(sample.body)) == []
        parse(kind, sample.body)
        for member in sample.body:
            broken = {name: value for name, value in sample.body.items() if name != member}
            assert list(validator.iter_errors(broken))
            with pytest.raises(Malformed):
                parse(kind, broken)
        assert list(validator.iter_errors({**sample.body, "extra": 1}))


@pytest.mark.parametrize("name", sorted(KINDS))
def test_schema_of_a_kind_names_its_refusals_in_order(name: str) -> None:
    described = describe_kind(KINDS[name])
    assert described["x-refusals"] == refusals_of(KINDS[name])
    assert set(described["x-permanent"]) <= set(described["x-refusals"])
    assert described["x-signed-by"] == sorted(role.value for role in KINDS[name].signed_by)
