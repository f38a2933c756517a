"""A whole log executed anew: of a real node it comes out as it stands; any change in it is named."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import export
import replay
from server.domain import proposal
from server.record.canonical import encode
from tests.api.running import running_site
from tests.scripts.test_export import live

Lines = list[dict[str, Any]]


@pytest_asyncio.fixture
async def estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """The folder of a node that ordered points, votes and a tally, and has ended; its log is exported."""
    monkeypatch.setattr(proposal, "VOTING_MS_MIN", 100)
    async with running_site(tmp_path) as site:
        person, _ = await live(site)
        await export.export(site.url, tmp_path / "export", person.signer)
        (tmp_path / "token").write_text(person.tokens[site.url])
        (tmp_path / "url").write_text(site.url)
        token = str(tmp_path / "token")
        assert await asyncio.to_thread(replay.main, [site.url, "--token", token]) == 0
        assert await asyncio.to_thread(replay.main, [site.url]) == replay.EXIT_UNREAD
        data = ["--data", str(tmp_path / "data"), "--genesis", str(tmp_path / "genesis" / "genesis.json")]
        assert replay.main(data) == replay.EXIT_UNREAD, "a node that runs is left alone"
    yield tmp_path


def by_data(estate: Path) -> list[str]:
    return ["--data", str(estate / "data"), "--genesis", str(estate / "genesis" / "genesis.json")]


def change_export(estate: Path, change: Callable[[Lines], None]) -> int:
    """Change the entries of the export, then execute it. Returns the exit code."""
    path = estate / "export" / "entries.jsonl"
    entries = [json.loads(json.loads(line)["entry"]) for line in path.read_bytes().splitlines()]
    before = path.read_bytes()
    change(entries)
    path.write_bytes(b"".join(encode(entry) + b"\n" for entry in entries))
    try:
        return replay.main([str(estate / "export")])
    finally:
        path.write_bytes(before)


def run_sql(estate: Path, sql: str) -> None:
    with closing(sqlite3.connect(estate / "data" / "node.db")) as database, database:
        assert database.execute(sql).rowcount > 0


def outcome(entries: Lines) -> None:
    entries[2]["outcome"] = "role_missing"


def digest(entries: Lines) -> None:
    leaf = [entry for entry in entries if entry.get("system", {}).get("kind") == "block.leaf"][3]
    leaf["system"]["body"]["state_digest"] = "A" * 43


def signature(entries: Lines) -> None:
    record = next(entry for entry in entries if "record" in entry)
    head, payload, signed = record["record"].split(".")
    record["record"] = ".".join((head, payload, ("B" if signed[0] == "A" else "A") + signed[1:]))


def cut(entries: Lines) -> None:
    del entries[-1]


def drop(entries: Lines) -> None:
    del entries[4]


async def test_a_real_log_comes_out_as_it_stands_and_every_change_is_named(
    estate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay.main([str(estate / "export")]) == 0
    said = capsys.readouterr().out
    assert "records/s: all as the log says" in said and "state_digest" in said
    for change, word in (
        (outcome, "entry 2: the log has"),
        (digest, "state_digest is AAAA"),
        (signature, "entries_root is"),
        (cut, "the log ends inside a block"),
        (drop, "block "),
    ):
        assert change_export(estate, change) == replay.EXIT_DIFFERS, change.__name__
        found = capsys.readouterr().out
        assert found.startswith("DIFFERS: block ") and ", entry " in found and word in found, found
    (estate / "export" / "checkpoint").unlink()
    assert replay.main([str(estate / "export")]) == replay.EXIT_UNREAD


async def test_the_database_of_a_stopped_node_is_compared_with_what_its_entries_give(
    estate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay.main(by_data(estate)) == 0, capsys.readouterr()
    before = (estate / "data" / "node.db").read_bytes()
    for sql, word in (
        ("""UPDATE "entry" SET "content" = CAST(replace("content", 'accepted', 'other') AS BLOB) WHERE "index" = 2""",
         "entry 2: the log has"),
        ("""UPDATE "block" SET "root" = "header" WHERE "height" = 2""", "block 2"),
        ("""UPDATE "block" SET "state_digest" = 'other' WHERE "height" = (SELECT MAX("height") FROM "block")""",
         "the last stored block is"),
        ("""UPDATE "member" SET "roles" = '["officer@street"]'""", "the stored row member/"),
        ("""DELETE FROM "entry" WHERE "index" = 5""", "entry 5: the entry is missing"),
    ):  # fmt: skip
        run_sql(estate, sql)
        assert replay.main(by_data(estate)) == replay.EXIT_DIFFERS, sql
        assert word in capsys.readouterr().out
        (estate / "data" / "node.db").write_bytes(before)
    assert replay.main(by_data(estate)) == 0
    (estate / "data" / "node.db").write_bytes(before[: len(before) // 2])
    assert replay.main(by_data(estate)) == replay.EXIT_UNREAD
    assert replay.main(["--data", str(estate), "--genesis", str(estate / "none")]) == replay.EXIT_UNREAD
