"""What a disk did to the database is found at the start or when it is read; a damaged entry is never given away."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from server.storage.damage import find_damage
from server.storage.database import Database, DatabaseFault
from server.storage.ledger import EntryDamaged
from server.storage.statements import change
from tests.storage.estate import Estate

PAGE = 4096


async def test_an_entry_with_a_flipped_byte_is_refused_wherever_it_is_read(estate: Estate) -> None:
    for place in range(7, 12):
        await estate.add(estate.bind(place, f"m-{place}"))
    ledger = estate.ledger
    [_, entry, _] = await ledger.entries([1, 2, 3])
    flipped = bytearray(entry.content)
    flipped[len(flipped) // 2] ^= 1
    sql = 'UPDATE "entry" SET "content" = ? WHERE "index" = ?'
    await ledger.database.run(lambda connection: change(connection, sql, bytes(flipped), entry.index))
    for read in (
        ledger.contents(0, 10),
        ledger.entries([entry.index]),
        ledger.entry_of_record(entry.record),
        ledger.find(entry.record),
        ledger.block(entry.height),
    ):
        with pytest.raises(EntryDamaged, match=f"block {entry.height}, entry {entry.index}: "):
            await read
    assert len(await ledger.contents(4, 10)) == 6, "the others are whole"


async def filled(tmp_path: Path) -> Path:
    """A database with some blocks, closed."""
    path = tmp_path / "node.db"
    async with await Database.open(f"sqlite://{path}") as database:
        estate = await Estate.open(database)
        for place in range(7, 27):
            await estate.add(estate.bind(place, f"m-{place}"))
    return path


async def assert_refused(path: Path) -> None:
    with pytest.raises(DatabaseFault, match=r"is damaged .*Put back a copy"):
        await Database.open(f"sqlite://{path}")


async def test_a_whole_database_is_found_whole(tmp_path: Path) -> None:
    path = await filled(tmp_path)
    assert find_damage(path) == ""
    async with await Database.open(f"sqlite://{path}"):
        pass


async def test_a_flip_in_a_page_of_a_table_s_tree_refuses_the_start(tmp_path: Path) -> None:
    path = await filled(tmp_path)
    with closing(sqlite3.connect(path)) as database:
        [(root,)] = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'entry'")
    content = bytearray(path.read_bytes())
    content[(root - 1) * PAGE] ^= 0x40  # the page's type
    path.write_bytes(content)
    await assert_refused(path)


@pytest.mark.parametrize("part", [0.5, 0.9])
async def test_a_file_cut_short_refuses_the_start(tmp_path: Path, part: float) -> None:
    path = await filled(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    await assert_refused(path)


async def test_a_file_whose_beginning_is_another_refuses_the_start(tmp_path: Path) -> None:
    path = await filled(tmp_path)
    path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])
    await assert_refused(path)
