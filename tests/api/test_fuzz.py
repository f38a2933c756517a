"""Requests made from the description itself, good and bad: no answer is a 500, none is anything but declared."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode

from tests.api.running import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")

DESCRIPTION = json.loads((Path(__file__).parents[2] / "schemas" / "openapi.json").read_text("utf-8"))
ENDLESS = {("get", "/api/v1/events")}
ENDING = {("delete", "/api/v1/session")}
EXAMPLES = 6


def operations() -> Iterator[Any]:
    """All operations but the one without end, and the one that ends the session we need."""
    for result in schemathesis.openapi.from_dict(DESCRIPTION).get_all_operations():
        operation = result.ok()
        if (operation.method, operation.path) not in ENDLESS | ENDING:
            yield operation


def try_operation(operation: Any, mode: GenerationMode, url: str, token: str) -> Iterator[str]:
    """What was answered that must not be."""
    declared = {int(status) for status in operation.definition.raw["responses"]}
    wrong: list[str] = []

    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        response = case.call(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=10)
        is_problem = "application/problem+json" in response.headers.get("content-type", ())
        if response.status_code in (404, 405) and is_problem:
            return  # a path that the generator bent out of its route
        if response.status_code not in declared or (response.status_code >= 400 and not is_problem):
            wrong.append(f"{operation.label}: {response.status_code} for {case.as_curl_command()[:300]}")

    with suppress(Unsatisfiable):  # an operation without parameters cannot be asked wrongly
        check()
    yield from wrong


async def test_no_request_made_from_the_description_is_answered_by_anything_undeclared(site: Site) -> None:
    for role in ("staff", "committee", "merchant"):
        await site.grant(site.officer.member, role)
    token = site.officer.tokens[site.url]
    for operation in operations():
        for mode in GenerationMode:
            wrong = await asyncio.to_thread(lambda: list(try_operation(operation, mode, site.url, token)))  # noqa: B023
            assert wrong == []
