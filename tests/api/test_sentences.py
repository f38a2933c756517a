"""One table: every code of a refusal or of an API error, with a status and a sentence in both languages."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from server.api.app import ENDPOINTS
from server.api.language import choose_language
from server.api.openapi import refusals_of
from server.api.refusals import REFUSALS
from server.api.sentences import API_SENTENCES, sentence_of
from server.domain import KINDS
from server.domain.execute import COMMON_REFUSALS

API = Path(__file__).parents[2] / "server" / "api"


def raised_codes() -> set[str]:
    """The codes that the API's source raises by name."""
    found: set[str] = set()
    for path in API.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Declined":
                first = node.args[0]
                parts = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
                found |= {part.value for part in parts if isinstance(part, ast.Constant)}
    return found


def test_every_refusal_of_every_kind_has_a_sentence_in_both_languages() -> None:
    wanted = {code for kind in KINDS.values() for code in refusals_of(kind)} | set(COMMON_REFUSALS)
    assert wanted == set(REFUSALS)
    for zh, en in REFUSALS.values():
        assert any("\u4e00" <= sign <= "\u9fff" for sign in zh)
        assert en.isascii()


def test_every_code_that_the_api_raises_or_declares_has_a_sentence() -> None:
    declared = {code for endpoint in ENDPOINTS for code in endpoint.declines}
    for code in raised_codes() | declared:
        sentence = sentence_of(code)
        assert 400 <= sentence.status < 600
        assert sentence.zh
        assert sentence.en.isascii()


def test_no_code_means_two_things() -> None:
    assert set(API_SENTENCES).isdisjoint(REFUSALS)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "zh-CN"),
        ("en", "en"),
        ("en-GB,en;q=0.9", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("en;q=0.1, zh;q=0.2", "zh-CN"),
        ("fr, de", "zh-CN"),
        ("*", "zh-CN"),
        ("en;q=0", "zh-CN"),
        ("en;q=nan, zh;q=banana", "zh-CN"),
        (",;=,,", "zh-CN"),
    ],
)
def test_language_follows_the_heavier_range(header: str, language: str) -> None:
    assert choose_language(header) == language
