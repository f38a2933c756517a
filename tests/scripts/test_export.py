"""An export of a running node's log: whole, for those who may read it, and good enough for the independent verifier."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import export
import verify
from client import Person
from tests.api.running import Site, running_site


async def examine(*arguments: str) -> int:
    """Run the verifier beside the node that it asks."""
    return await asyncio.to_thread(verify.main, ["log", *arguments])


async def reader(site: Site, *roles: str) -> Person:
    """A resident whose device one organisation attests, which is all that this estate wants."""
    person = await site.bind("m-reader")
    for role in roles:
        await site.grant(person.member, role)
    return person


async def test_a_node_s_log_passes_every_check_from_the_node_and_from_an_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_site(tmp_path) as site:
        person = await reader(site, "committee")
        count = await export.export(site.url, tmp_path / "export", person.signer)
        assert count == len((tmp_path / "export" / "entries.jsonl").read_bytes().splitlines()) > 3
        assert await examine(str(tmp_path / "export")) == 0, capsys.readouterr().out
        (tmp_path / "token").write_text(person.tokens[site.url])
        assert await examine(site.url, "--token", str(tmp_path / "token")) == 0, capsys.readouterr().out
        assert await examine(site.url) == 2
        assert await examine(site.url, "--only", "genesis,policy,checkpoint,quorum") == 0


async def test_a_changed_line_of_a_real_log_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running_site(tmp_path) as site:
        person = await reader(site, "committee")
        await export.export(site.url, tmp_path / "export", person.signer)
    path = tmp_path / "export" / "entries.jsonl"
    path.write_bytes(path.read_bytes().replace(b"accepted", b"role_missing", 1))
    assert await examine(str(tmp_path / "export")) == 1
    assert "lead to another root than the checkpoint's" in capsys.readouterr().out


async def test_who_may_not_read_gets_nothing_and_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "key.pem"
    folder = tmp_path / "export"
    async with running_site(tmp_path) as site:
        key.write_bytes(site.device().signer.pem())
        code = await asyncio.to_thread(export.main, [site.url, str(folder), "--key", str(key)])
        assert (code, list(folder.iterdir())) == (1, [])
        assert "device_unbound" in capsys.readouterr().err
        url = site.url
    assert await asyncio.to_thread(export.main, [url, str(folder), "--key", str(key)]) == 1
    assert "cannot be read" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        export.main([url, str(folder), "--key", str(tmp_path / "genesis" / "genesis.json")])
