"""One node's database: opened once, by one process, through one Tortoise context. It must not know what is stored.

SQLite (WAL, synchronous=FULL) is the embedded default; PostgreSQL by URL. A second process on the same database would
be a second copy of the node, the likeliest way to fork a ledger, so it is refused. Reads have a connection of their own
that cannot write. Several databases of one dialect may be open in one process (Tortoise keeps its query builders with
the models, so two dialects may not).
"""

from __future__ import annotations

import asyncio
import contextvars
import fcntl
import os
import sqlite3
from collections.abc import Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import asyncpg  # type: ignore[import-untyped] # ships no types; only its errors are named
from tortoise.backends.base.config_generator import expand_db_url
from tortoise.context import TortoiseContext
from tortoise.exceptions import ConfigurationError, DBConnectionError

from server.storage import ledger_tables, private_tables, tables
from server.storage.damage import find_damage
from server.storage.migration import MigrationFault, migrate
from server.storage.statements import POSTGRES, Batch, Connection, change, fetch, is_postgres, put_rows
from server.storage.tables import FINGERPRINTS, ROW_TABLES, creation_statements
from server.storage.uow import UnitsOfWork, Work

T = TypeVar("T")
WRITER = "default"
_MODULES = tuple(module.__name__ for module in (tables, ledger_tables, private_tables))
READER = "reader"
_LOCK_KEY = int.from_bytes(b"linli", "big")
"""Key of the PostgreSQL advisory lock, which is per database."""
_WAL_BYTES_KEPT = 64 * 1024 * 1024
"""The WAL file is kept at this size after a checkpoint: growing it anew at every block costs more."""
_WAL_PAGES_MAX = 8_000
"""Pages in the WAL before they go to the file: a small block changes a few hundred, and each move syncs twice."""
_CACHE_KIB = 16 * 1024
"""SQLite's page cache: with less, the pages of a full block spill into the WAL before it is committed."""
_SQLITE_PRAGMAS = {
    "journal_mode": "WAL",
    "synchronous": "FULL",
    "journal_size_limit": _WAL_BYTES_KEPT,
    "foreign_keys": "ON",
    "secure_delete": "ON",
    "busy_timeout": 5_000,
    "wal_autocheckpoint": _WAL_PAGES_MAX,
    "cache_size": -_CACHE_KIB,
}
_READERS_MAX = 8
_WRITERS_MAX = 2
"""PostgreSQL connections that may write: one holds the node's lock, one runs the unit of work."""
_open_dialects: list[str] = []


class DatabaseFault(Exception):
    """The database cannot be used as it is; the message says what to do. Never holds a password."""


class Database:
    """Mutable. An open database. Use `async with await Database.open(url)`, or `close` it."""

    def __init__(self, url: str) -> None:
        self.dialect, self._config, self._path = _configure(url)
        self.rows_current = False
        """Do the row tables fit the shapes of this program? When not, they are empty and a replay must fill them."""
        self._scope = contextvars.copy_context()
        self._context = TortoiseContext()
        self._units = UnitsOfWork(self._scope, WRITER)
        self._lock_file = -1
        self._lock_holder: Any = None

    @classmethod
    async def open(cls, url: str) -> Database:
        """Open `sqlite://PATH` or `postgres://...` (also `asyncpg://`), lock it, and bring its tables up to date.

        Raises DatabaseFault: unknown URL, not reachable, in use by another process, or made by a newer program.
        """
        database = cls(url)
        try:
            await database._begin()
        except BaseException:
            await database.close()
            raise
        return database

    async def run(self, work: Work[T]) -> T:
        """Run a unit of work in one transaction, to its end even when the caller is cancelled."""
        return await self._units.run(work)

    async def write(self, batch: Batch) -> None:
        """Run a batch in one transaction, to its end even when the caller is cancelled."""
        await self._units.write(batch)

    async def finish(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine that uses `run` and then changes memory, to its end even when the caller is cancelled."""
        return await self._units.finish(coroutine)

    async def read(self, work: Work[T]) -> T:
        """Run a query on the connection that cannot write. It sees every unit of work that has ended."""
        return await self._inside(self._apply(work, READER))

    async def close(self) -> None:
        """Wait for the units of work under way, close the connections, give the lock back. Twice is harmless."""
        await self._units.drain()
        if self._lock_holder is not None:
            await self._lock_holder.__aexit__(None, None, None)
            self._lock_holder = None
        if self._context.inited:
            await self._units.finish(self._context.close_connections())
            self._context._inited = False
            _open_dialects.remove(self.dialect)
        if self._lock_file >= 0:
            os.close(self._lock_file)
            self._lock_file = -1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def keep_derived(self) -> None:
        """Remember that the row tables are filled and fit the shapes of this program."""
        rows = sorted(FINGERPRINTS.items())
        await self.run(lambda connection: put_rows(connection, ledger_tables.DERIVED_TABLE, rows))
        self.rows_current = True

    async def _begin(self) -> None:
        if self._path is not None:
            self._lock_path(self._path)
            await _check_pages(self._path)
        if any(dialect != self.dialect for dialect in _open_dialects):
            raise DatabaseFault("one process cannot use SQLite and PostgreSQL at the same time")
        self._scope.run(self._context.__enter__)
        modules = {"models": {"models": list(_MODULES), "default_connection": WRITER}}
        try:
            await self._inside(self._context.init({"connections": self._config, "apps": modules}))
            _open_dialects.append(self.dialect)
            await self._hold_lock()
            await migrate(self._units, self.dialect)
        except MigrationFault as fault:
            raise DatabaseFault(str(fault)) from fault
        except (OSError, ConfigurationError, DBConnectionError, asyncpg.PostgresError) as error:
            raise DatabaseFault(f"the database cannot be opened: {error}") from error
        await self._derive()

    def _lock_path(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._lock_file = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatabaseFault(f"{path} is in use by another process: a node must never run twice") from None

    async def _hold_lock(self) -> None:
        """PostgreSQL: hold an advisory lock on a connection that stays out of the pool."""
        if self.dialect != POSTGRES:
            return
        holder = self._context.connections.get(WRITER).acquire_connection()
        connection = await holder.__aenter__()
        self._lock_holder = holder
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK_KEY):
            raise DatabaseFault("the database is in use by another process: a node must never run twice")

    async def _derive(self) -> None:
        """Make the row tables; those made for other shapes are dropped, to be filled by a replay."""
        made = await self.run(lambda connection: fetch(connection, 'SELECT "name", "fingerprint" FROM "derived_table"'))
        stored = dict(cast("Sequence[tuple[str, str]]", made))
        self.rows_current = stored == FINGERPRINTS
        if not self.rows_current:
            await self.run(lambda connection: _remake_rows(connection, {*stored, *FINGERPRINTS}))

    async def _apply(self, work: Work[T], name: str) -> T:
        return await work(self._context.connections.get(name))

    async def _inside(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine where this database's Tortoise context is the current one, whatever the caller's is.

        Queries too run to their end: one cancelled while it opens SQLite's connection would leave the others waiting.
        """
        return await self._units.finish(coroutine)


async def _remake_rows(connection: Connection, old: set[str]) -> None:
    for name in sorted(old):
        await change(connection, f'DROP TABLE IF EXISTS "{name}"')
    await change(connection, 'DELETE FROM "derived_table"')
    for row_table in ROW_TABLES.values():
        for statement in creation_statements(row_table, postgres=is_postgres(connection)):
            await change(connection, statement)


async def _check_pages(path: Path) -> None:
    try:
        damage = await asyncio.to_thread(find_damage, path)
    except sqlite3.Error as error:
        raise DatabaseFault(f"the database cannot be opened: {error}") from error
    if damage:
        raise DatabaseFault(
            f"{path} is damaged ({damage.splitlines()[0]}). Do not use it: keep the folder, move {path.name} and its "
            "-wal and -shm files away, and leave the journal and the signer's file where they are. Put back a copy of "
            "the database that was whole; the node fetches from its peers what the copy lacks."
        )


def _configure(url: str) -> tuple[str, dict[str, Any], Path | None]:
    """(dialect, Tortoise's connections, path of a SQLite file). Raises DatabaseFault."""
    try:
        writer = expand_db_url(url)
    except (ConfigurationError, ValueError):
        raise DatabaseFault("the database URL must be sqlite://PATH or postgres://USER@HOST/NAME") from None
    credentials = writer["credentials"]
    if writer["engine"] == "tortoise.backends.sqlite":
        path = Path(credentials["file_path"])
        if path.name.startswith(":"):
            raise DatabaseFault("a node's database must be a file: in memory it would not survive a restart")
        settings = {**credentials, **_SQLITE_PRAGMAS}
        reader = {**writer, "credentials": {**settings, "query_only": "ON"}}
        return "sqlite", {WRITER: {**writer, "credentials": settings}, READER: reader}, path
    if writer["engine"] != "tortoise.backends.asyncpg":
        raise DatabaseFault("the database URL must be sqlite://PATH or postgres://USER@HOST/NAME")
    return POSTGRES, {WRITER: _pool(writer, read_only=False), READER: _pool(writer, read_only=True)}, None


def _pool(config: dict[str, Any], *, read_only: bool) -> dict[str, Any]:
    settings = {
        "jit": "off",
        # Every query is by key or index. A plan that was made while a table was empty would go on scanning it.
        "enable_seqscan": "off",
        "synchronous_commit": "on",
        "default_transaction_read_only": "on" if read_only else "off",
    }
    pool = {"maxsize": _READERS_MAX if read_only else _WRITERS_MAX, "server_settings": settings}
    return {**config, "credentials": {**config["credentials"], **pool}}
