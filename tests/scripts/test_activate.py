"""scripts/activate.py as operators call it: what each node knows, and an officer's signature for the next rules."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

import activate
from drills.next_release import NEXT_RULEBOOK
from tests.api.running import ME, Site, running_site


def options(site: Site, folder: Path, height: int | None) -> argparse.Namespace:
    key = next((folder / "genesis" / ME).glob("officer-*.pem"))
    return argparse.Namespace(url=site.url, key=None if height is None else key, height=height)


async def test_an_officer_has_the_next_rules_begin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running_site(tmp_path, rulebook=NEXT_RULEBOOK) as site:
        assert await activate.run(options(site, tmp_path, None)) == 0
        assert "rules 2: can be activated" in capsys.readouterr().out
        begin = site.node.ledger.tip.height + 3
        assert await activate.run(options(site, tmp_path, begin)) == 0
        said = capsys.readouterr().out
        assert f"signed by {site.officer.member}" in said
        assert f"rules 2 begin at block {begin}" in said
        for number in range(3):
            await site.grant(f"m-{number}", "staff")
        assert await activate.run(options(site, tmp_path, None)) == 0
        said = capsys.readouterr().out
        assert "rules 2 are in force" in said
        assert f"rules 3: not yet: {ME} must be upgraded first" in said


async def test_a_refusal_says_why_and_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running_site(tmp_path) as site:
        assert await activate.run(options(site, tmp_path, 1_000)) == activate.EXIT_REFUSED
        found = capsys.readouterr()
        assert "rules_unsupported" in found.err
        assert "signed by" not in found.out


def test_nodes_that_are_not_reached_are_named() -> None:
    node: dict[str, Any] = {"id": "street", "rules": 1, "reachable": False}
    lines = activate.describe({"rules": 1, "height": 7, "next_rules": None, "nodes": [node]})
    assert lines[1] == "street     knows rules up to 1, not reached now"
    planned = activate.describe({"rules": 1, "height": 7, "next_rules": {"version": 2, "height": 9}, "nodes": []})
    assert planned == ["rules 1 are in force; the newest block is 7", "rules 2 begin at block 9"]


def test_a_key_needs_a_height() -> None:
    with pytest.raises(SystemExit) as ended:
        activate.main(["http://127.0.0.1:1", "--key", "officer.pem"])
    assert ended.value.code == 2


def test_a_node_that_does_not_answer_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert activate.main(["http://127.0.0.1:1"]) == activate.EXIT_UNREAD
    assert "activate: " in capsys.readouterr().err
