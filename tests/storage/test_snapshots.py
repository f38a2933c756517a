"""The state is hashed beside the node's work, and comes out as it was after its block, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import dataclasses
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from server.domain import RULEBOOK
from server.domain.member import Device
from server.domain.rules import Rulebook, Rules
from server.domain.state_root import After, Manifest, Schedule, manifest_of
from server.record.canonical import b64u_decode
from server.storage import snapshots as module
from server.storage.database import Database
from server.storage.ledger import Ledger
from server.storage.replay import open_ledger, rebuild_rows
from server.storage.rows import read_all
from server.storage.snapshots import Snapshots
from server.storage.statements import change, fetch
from server.storage.tables import ROW_TABLES
from server.storage.vault import Vault
from tests.storage.conftest import NewUrl
from tests.storage.estate import DAY_MS, VAULT_KEY, Estate, make_genesis

SCHEDULE = Schedule(every=4, lag=3)
FIRST = RULEBOOK.find(1)
MONTH_MS = 30 * DAY_MS


async def open_estate(database: Database) -> Estate:
    genesis, cluster_id = make_genesis()
    return Estate(await open_ledger(database, genesis, cluster_id, Vault(VAULT_KEY), SCHEDULE))


async def add_blocks(estate: Estate, count: int, time_ms: int = 0) -> None:
    for _ in range(count):
        number = 200 + estate.ledger.tip.height
        await estate.add(estate.bind(number, f"m-{number}"), time_ms=time_ms)


async def state_now(ledger: Ledger, rules: Rules = FIRST) -> Manifest:
    """Straight from the tables, by the pure function."""
    tip = ledger.tip
    after = After(tip.height, tip.block_id, tip.size, tip.root, tip.state_digest, tip.time_ms, 1)
    rows = []
    for table in ROW_TABLES:
        found = await ledger.database.read(lambda connection, name=table: read_all(connection, name))
        rows += [(table, row) for row in found]
    return manifest_of(after, rows, rules)


async def count_before(database: Database) -> int:
    [(count,)] = await database.read(lambda connection: fetch(connection, 'SELECT COUNT(*) FROM "row_before"'))
    return int(count)


def read_manifest(folder: Path, height: int) -> Manifest:
    """The snapshot on disk; every chunk is what the manifest says."""
    manifest = msgspec.json.decode((folder / str(height) / module.MANIFEST).read_bytes(), type=Manifest)
    chunks = [path.read_bytes() for path in sorted((folder / str(height)).glob("*.chunk"))]
    assert [sha256(chunk).digest() for chunk in chunks] == [b64u_decode(chunk) for chunk in manifest.chunks]
    assert b"".join(chunks).count(b"\n") == manifest.rows
    return manifest


async def test_a_state_comes_out_as_it_was_although_blocks_change_it_before_it_is_read(
    new_url: NewUrl, tmp_path: Path
) -> None:
    """Rows are added, changed and, long after, past their time; none of it reaches the state of block 4."""
    async with await Database.open(new_url()) as database:
        estate = await open_estate(database)
        await add_blocks(estate, 4)
        wanted = await state_now(estate.ledger)
        await estate.accept(estate.grant_role(0, "m-200", "committee", "owners"))
        await add_blocks(estate, 1, estate.ledger.tip.time_ms + MONTH_MS)
        assert await state_now(estate.ledger) != wanted
        snapshots = Snapshots(estate.ledger, tmp_path)
        await snapshots.begin()
        assert await snapshots.told(7) == wanted.item()
        assert read_manifest(tmp_path, 4) == wanted
        await snapshots.close()


async def test_a_node_that_ended_while_it_hashed_hashes_the_same_state_again(new_url: NewUrl, tmp_path: Path) -> None:
    url = new_url()
    async with await Database.open(url) as database:
        estate = await open_estate(database)
        await add_blocks(estate, 4)
        wanted = await state_now(estate.ledger)
        snapshots = Snapshots(estate.ledger, tmp_path)
        await snapshots.begin()
        await snapshots.close()
        await add_blocks(estate, 2)
    (tmp_path / "4.part").mkdir(exist_ok=True)
    (tmp_path / "4.part" / "00099.chunk").write_bytes(b"left over")
    async with await Database.open(url) as database:
        estate = await open_estate(database)
        again = Snapshots(estate.ledger, tmp_path)
        await again.begin()
        assert await again.told(7) == wanted.item()
        assert read_manifest(tmp_path, 4) == wanted
        await again.close()


async def test_rows_that_are_rebuilt_give_the_same_state(new_url: NewUrl, tmp_path: Path) -> None:
    async with await Database.open(new_url()) as database:
        estate = await open_estate(database)
        await add_blocks(estate, 4)
        wanted = await state_now(estate.ledger)
        await add_blocks(estate, 2)
        genesis, cluster_id = make_genesis()
        await rebuild_rows(estate.ledger, genesis, cluster_id)
        snapshots = Snapshots(estate.ledger, tmp_path)
        await snapshots.begin()
        assert await snapshots.told(7) == wanted.item()
        await snapshots.close()


async def test_blocks_are_stored_while_a_state_is_hashed_page_by_page(
    new_url: NewUrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of two rows and small chunks: between any two pages a block may come."""
    monkeypatch.setattr(module, "PAGE_ROWS", 2)
    async with await Database.open(new_url()) as database:
        estate = await open_estate(database)
        await estate.add_roll(12)
        await add_blocks(estate, 4 - estate.ledger.tip.height)
        wanted = await state_now(estate.ledger)
        snapshots = Snapshots(estate.ledger, tmp_path)
        await snapshots.begin()
        await add_blocks(estate, 2)
        assert await snapshots.told(7) == wanted.item()
        await snapshots.close()


async def test_earlier_rows_and_older_snapshots_are_let_go_of(new_url: NewUrl, tmp_path: Path) -> None:
    async with await Database.open(new_url()) as database:
        estate = await open_estate(database)
        snapshots = Snapshots(estate.ledger, tmp_path / "snapshots")
        counts = []
        for height in range(1, 16):
            assert (await snapshots.told(height) is not None) == (height in (7, 11, 15))
            await add_blocks(estate, 1)
            await snapshots.begin()
            counts.append(await count_before(database) > 0)
        assert counts == [height % 4 in (1, 2, 3) and height > 4 for height in range(1, 16)]
        assert [path.name for path in (tmp_path / "snapshots").iterdir()] == ["12"]
        await snapshots.close()


async def test_a_state_tells_of_a_row_that_no_block_changed(new_url: NewUrl, tmp_path: Path) -> None:
    """Damage in a row that nobody touches is found at the next state root."""
    async with await Database.open(new_url()) as database:
        estate = await open_estate(database)
        await add_blocks(estate, 4)
        wanted = await state_now(estate.ledger)
        sql = """UPDATE "member" SET "roles" = '["committee@owners"]' WHERE "id" = 'officer-property'"""
        await database.run(lambda connection: change(connection, sql))
        snapshots = Snapshots(estate.ledger, tmp_path)
        await snapshots.begin()
        told = await snapshots.told(7)
        assert told is not None
        assert told != wanted.item()
        await snapshots.close()


async def test_what_fails_while_hashing_fails_whoever_waits_for_it(new_url: NewUrl, tmp_path: Path) -> None:
    async with await Database.open(new_url()) as database:
        estate = await open_estate(database)
        await add_blocks(estate, 4)
        (tmp_path / "file").write_bytes(b"")
        snapshots = Snapshots(estate.ledger, tmp_path / "file")
        await snapshots.begin()
        with pytest.raises(NotADirectoryError):
            await snapshots.told(7)
        await snapshots.close()


async def test_hashing_leaves_the_loop_free_between_pages(new_url: NewUrl, tmp_path: Path) -> None:
    """Another task has many turns before the state is done."""
    async with await Database.open(new_url()) as database:
        estate = await open_estate(database)
        await add_blocks(estate, 4)
        snapshots = Snapshots(estate.ledger, tmp_path)
        await snapshots.begin()
        waiting = asyncio.ensure_future(snapshots.told(7))
        turns = 0
        while not waiting.done():
            turns += 1
            await asyncio.sleep(0)
        assert turns > len(ROW_TABLES)
        await snapshots.close()


async def test_executing_names_what_rows_were_before(new_url: NewUrl) -> None:
    async with await Database.open(new_url()) as database:
        estate = await open_estate(database)
        executed, _ = await estate.execute([estate.bind(5, "m-5")])
        assert executed.before == dict.fromkeys(executed.changed)
        await add_blocks(estate, 1)
        await estate.accept(estate.grant_role(0, "m-200", "committee", "owners"))
        granted, _ = await estate.execute([estate.grant_role(1, "m-200", "committee", "owners")])
        assert granted.before == (await estate.ledger.rows.load(granted.changed)).loaded
        assert any(granted.before.values())


async def test_a_database_of_an_older_release_builds_its_rows_anew_and_hashes_the_right_state(
    new_url: NewUrl, tmp_path: Path
) -> None:
    """It ended while a state should have been hashed, and kept nothing of what rows were."""
    url = new_url()
    async with await Database.open(url) as database:
        estate = await open_estate(database)
        await add_blocks(estate, 4)
        wanted = await state_now(estate.ledger)
        await add_blocks(estate, 2)
        for sql in (
            'DROP TABLE "row_before"',
            'DROP TABLE "mended"',
            'DELETE FROM "schema_migration" WHERE "number" >= 6',
        ):
            await database.run(lambda connection, text=sql: change(connection, text))
    async with await Database.open(url) as database:
        assert not database.rows_current
        snapshots = Snapshots((await open_estate(database)).ledger, tmp_path)
        await snapshots.begin()
        assert await snapshots.told(7) == wanted.item()
        await snapshots.close()


async def test_a_state_s_rows_stand_in_the_form_of_its_block_s_version(new_url: NewUrl, tmp_path: Path) -> None:
    """Rows that change while the state is read, and leave what they were behind, as well."""
    form = tuple(name for name in Device.__struct_fields__ if name != "label")
    first = dataclasses.replace(FIRST, forms={Device.table: form})
    async with await Database.open(new_url()) as database:
        estate = await open_estate(database)
        await add_blocks(estate, 4)
        wanted, full = await state_now(estate.ledger, first), await state_now(estate.ledger)
        await estate.accept(estate.grant_role(0, "m-200", "committee", "owners"))
        await add_blocks(estate, 1)
        taken = Snapshots(estate.ledger, tmp_path, Rulebook((first,)))
        await taken.begin()
        assert await taken.told(7) == wanted.item()
        assert wanted.chunks != full.chunks
        await taken.close()
