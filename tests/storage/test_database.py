"""A database is opened by one process, by one program, and says clearly why it is not."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tortoise.exceptions import OperationalError, TransactionManagementError

from server.storage.database import Database, DatabaseFault
from server.storage.statements import change, fetch

ROOT = Path(__file__).resolve().parents[2]
OPEN_IN_ANOTHER_PROCESS = """
import asyncio, sys
from server.storage.database import Database, DatabaseFault
async def main():
    try:
        await (await Database.open(sys.argv[1])).close()
    except DatabaseFault as fault:
        print("refused:", fault)
asyncio.run(main())
"""


def open_elsewhere(url: str) -> str:
    command = [sys.executable, "-c", OPEN_IN_ANOTHER_PROCESS, url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


async def test_second_process_on_one_database_is_refused(database: Database, url: str) -> None:
    assert "a node must never run twice" in open_elsewhere(url)


async def test_second_opening_in_one_process_is_refused(database: Database, url: str) -> None:
    with pytest.raises(DatabaseFault, match="a node must never run twice"):
        await Database.open(url)
    assert await database.read(lambda connection: fetch(connection, 'SELECT COUNT(*) FROM "block"'))


async def test_closed_database_can_be_opened_again(url: str) -> None:
    await (await Database.open(url)).close()
    assert open_elsewhere(url) == ""
    await (await Database.open(url)).close()


async def test_reading_side_cannot_write(database: Database) -> None:
    with pytest.raises((OperationalError, TransactionManagementError)):
        await database.read(lambda connection: change(connection, 'DELETE FROM "block"'))


@pytest.mark.parametrize("url", ["sqlite://:memory:", "mysql://x@localhost/y", "no address", "sqlite://"])
async def test_address_that_no_node_can_use_is_refused(url: str) -> None:
    with pytest.raises(DatabaseFault):
        await Database.open(url)


async def test_unreachable_server_is_named_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseFault, match="cannot be opened") as caught:
        await Database.open(f"postgres://node:s3cret@/linli?host={tmp_path}")
    assert "s3cret" not in str(caught.value)


async def test_database_of_a_newer_program_is_refused(url: str) -> None:
    async with await Database.open(url) as database:
        insert = """INSERT INTO "schema_migration" ("number", "name", "sha256") VALUES (99, 'later', '')"""
        await database.run(lambda connection: change(connection, insert))
    with pytest.raises(DatabaseFault, match="newer than this program"):
        await Database.open(url)


async def test_database_made_by_other_migrations_is_refused(url: str) -> None:
    async with await Database.open(url) as database:
        update = """UPDATE "schema_migration" SET "sha256" = 'other' WHERE "number" = 1"""
        await database.run(lambda connection: change(connection, update))
    with pytest.raises(DatabaseFault, match="not the one that made this database"):
        await Database.open(url)


async def test_sqlite_files_are_for_their_owner_only_and_synced(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "node.db"
    async with await Database.open(f"sqlite://{path}") as database:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

        async def pragmas(connection: object) -> list[int | str]:
            return [
                (await fetch(connection, f"PRAGMA {name}"))[0][0]  # type: ignore[arg-type]
                for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
            ]

        assert await database.run(pragmas) == ["wal", 2, 1, 1]
