"""An export of a running node's log: whole, for those who may read it, and good enough for the independent verifier."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

import export
import verify
from client import Person
from server.domain import proposal
from tests.api.running import Site, running_site
from tests.api.test_motions import ballot, open_motion, wait_for_result
from tests.api.test_points import code, merchant, offer, rich
from tests.scripts.verified import Change, Entry, kind_of, lines_of, with_index
from verifier import motions as motion_checks


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


async def live(site: Site) -> tuple[Person, dict[str, bytes]]:
    """A resident pays a shop, which undoes one payment; two owners vote. Returns a reader, and the openings."""
    shop, buyer = await merchant(site, "p-shop"), await rich(site, "p-buyer", 50)
    for number, amount in ((1, 20), (2, 5)):
        name = await offer(site, shop, code(number), amount)
        await buyer.do("points.redeem", {"amount": amount, "offer": name, "shop": "p-shop"})
    await shop.do("redemption.undo", {"member": "p-buyer", "offer": name})
    roll = await site.enrol((10_000, ("v-yes",)), (30_000, ("v-no",)), (10_000, ("v-silent",)))
    voters = [await site.bind(member) for member in ("v-yes", "v-no")]
    motion = await open_motion(site, roll, life_ms=5_000)
    openings: dict[str, bytes] = {}
    for position, (voter, choice) in enumerate(zip(voters, ("for", "against"), strict=True)):
        body = ballot(voter, motion, roll, choice, position)
        openings |= voter.openings
        await voter.do("ballot.cast", body)
    await wait_for_result(site.officer, motion)
    return site.officer, openings


def change_lines(path: Path, change: Change) -> None:
    """Change the entries of an export, as whoever holds the file can."""
    entries = [json.loads(json.loads(line)["entry"]) for line in path.read_bytes().splitlines()]
    path.write_bytes(b"".join(with_index(entry, index) + b"\n" for index, entry in enumerate(change(entries))))


def place_of(entries: list[Entry], kind: str) -> int:
    return next(index for index, entry in enumerate(entries) if kind_of(entry) == kind)


def shift_tally(entries: list[Entry]) -> list[Entry]:
    [question] = entries[place_of(entries, "motion.tally")]["system"]["body"]["questions"]
    question["choices"][0]["heads"] += 1
    question["part"]["heads"] += 1
    return entries


def move_ballot(entries: list[Entry]) -> list[Entry]:
    """Whom the choices name is exchanged; every sum stays as it was."""
    totals = entries[place_of(entries, "motion.tally")]["system"]["body"]["questions"][0]["choices"]
    for name in ("heads", "area_cm2"):
        totals[0][name], totals[1][name] = totals[1][name], totals[0][name]
    return entries


def double_redemption(entries: list[Entry]) -> list[Entry]:
    place = place_of(entries, "points.redeem")
    return [*entries[: place + 1], *entries[place:]]


def drop_grant(entries: list[Entry]) -> list[Entry]:
    place = place_of(entries, "points.grant")
    return entries[:place] + entries[place + 1 :]


async def test_points_and_votes_of_a_real_log_are_checked_and_lies_in_them_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sides are told that a vote may be short, so that the test need not wait for a minute."""
    monkeypatch.setattr(proposal, "VOTING_MS_MIN", 100)
    monkeypatch.setattr(motion_checks, "VOTING_MS_MIN", 100)
    async with running_site(tmp_path) as site:
        person, openings = await live(site)
        await export.export(site.url, tmp_path / "export", person.signer)
    (tmp_path / "openings.txt").write_text(lines_of(openings))
    whole, opened = str(tmp_path / "export"), ["--openings", str(tmp_path / "openings.txt")]
    assert await examine(whole, *opened) == 0, capsys.readouterr().out
    assert "50 points issued = 30 with members + 20 with merchants" in capsys.readouterr().out
    assert await examine(whole) == 2
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines() if line.startswith("NOT CHECKED")] == [
        "tallies"
    ]
    path = tmp_path / "export" / "entries.jsonl"
    honest = path.read_bytes()
    for change, check, word, options in (
        (shift_tally, "tallies", "it counts 3 heads", []),
        (move_ballot, "tallies", "the openings say 1 heads", opened),
        (double_redemption, "books", "offer_already_redeemed", []),
        (drop_grant, "books", "balance_too_low", []),
    ):
        path.write_bytes(honest)
        change_lines(path, change)
        assert await examine(whole, "--only", check, *options) == 1
        [line] = [line for line in capsys.readouterr().out.splitlines() if line[13:].startswith(check)]
        assert line.startswith("FAILED") and "entry " in line and word in line, line
