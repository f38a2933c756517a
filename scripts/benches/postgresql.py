"""A private PostgreSQL to measure beside: a primary and two synchronous standbys, a row a transaction, pooled clients.

`synchronous_standby_names = ANY 1`: a commit is acknowledged when the primary and one standby have flushed it, a
majority of three as with us. Autovacuum is off: within minutes it has nothing to do, and its short processes would not
be counted. It must not know what it is compared with.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import asyncpg  # type: ignore[import-untyped] # ships no types

from benches.peer import find_ports, private_folder, run_loops, running_server
from benches.turn import Work

CONNECTIONS = 64
"""As a pooler would hold: more backends on few cores only wait for each other."""
START_S = 60.0
USER = "postgres"
"""PostgreSQL refuses to run as root; Debian's package brings this user."""
STANDBYS = ("standby_1", "standby_2")
APPEND = "INSERT INTO record (body) VALUES ($1)"
_CREATE = "CREATE TABLE record (id bigserial PRIMARY KEY, body bytea NOT NULL)"
_STREAMING = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'quorum'"


class Postgresql:
    """A running primary with its standbys, and a pool of connections to it."""

    name = "postgresql"
    words = "PostgreSQL, a primary and two standbys, commit on the primary and one of them, fsync, unsigned rows"

    def __init__(self, pids: Sequence[int], pool: asyncpg.Pool) -> None:
        self._pids = tuple(pids)
        self._pool = pool

    def pids(self) -> Sequence[int]:
        """The first process of the primary and of each standby."""
        return self._pids

    async def append(self, clients: int, records: int) -> Work:
        """Append random records in closed loops; more clients than connections wait for one."""

        async def open_client(_: int) -> Callable[[bytes], Awaitable[None]]:
            return self._insert

        return await run_loops(clients, records, open_client)

    async def _insert(self, body: bytes) -> None:
        await self._pool.execute(APPEND, body)

    async def count(self) -> int:
        """Records that it holds."""
        return int(await self._pool.fetchval("SELECT count(*) FROM record"))

    async def standbys(self) -> int:
        """Standbys that stream now and count for commits."""
        return int(await self._pool.fetchval(_STREAMING))


@contextlib.asynccontextmanager
async def running_postgresql(programs: Path) -> AsyncIterator[Postgresql]:
    """Three servers from the programs in this folder (see machine.find_postgresql), stopped and wiped at the end."""
    with private_folder("postgresql", USER) as (folder, rights), contextlib.ExitStack() as servers:
        ports = find_ports(1 + len(STANDBYS))
        _make_primary(programs, folder, rights)

        def start(name: str, port: int) -> int:
            command = [*rights, *_server_command(programs, folder, name, port)]
            return servers.enter_context(running_server(command, folder / f"{name}.log")).pid

        pids = [start("primary", ports[0])]
        pool = await _connect(folder, ports[0])
        try:
            for name, port in zip(STANDBYS, ports[1:], strict=True):
                _copy_standby(programs, folder, rights, name, ports[0])
                pids.append(start(name, port))
            await pool.execute(f"ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 ({', '.join(STANDBYS)})'")
            await pool.fetchval("SELECT pg_reload_conf()")
            made = Postgresql(pids, pool)
            await _await_standbys(made, folder)
            await pool.execute(_CREATE)
            yield made
        finally:
            await pool.close()


def _make_primary(programs: Path, folder: Path, rights: Sequence[str]) -> None:
    make = [str(programs / "initdb"), f"--pgdata={folder / 'primary'}", "--auth=trust", f"--username={USER}"]
    subprocess.run([*rights, *make], check=True, stdout=subprocess.DEVNULL, cwd="/")


def _server_command(programs: Path, folder: Path, name: str, port: int) -> list[str]:
    settings = [
        "listen_addresses=127.0.0.1",
        f"port={port}",
        f"unix_socket_directories={folder}",
        "fsync=on",
        "synchronous_commit=on",
        "autovacuum=off",
    ]
    return [str(programs / "postgres"), "-D", str(folder / name), *(f"-c{setting}" for setting in settings)]


def _copy_standby(programs: Path, folder: Path, rights: Sequence[str], name: str, port: int) -> None:
    """A copy of the primary that follows it (`-R`), under the name by which its commits count."""
    source = f"host=127.0.0.1 port={port} user={USER} application_name={name}"
    copy = [str(programs / "pg_basebackup"), "-D", str(folder / name), "-R", "--checkpoint=fast", "-d", source]
    subprocess.run([*rights, *copy], check=True, stdout=subprocess.DEVNULL, cwd="/")


async def _connect(folder: Path, port: int) -> asyncpg.Pool:
    deadline = time.monotonic() + START_S
    while True:
        try:
            return await asyncpg.create_pool(
                host="127.0.0.1", port=port, user=USER, database="postgres", min_size=CONNECTIONS, max_size=CONNECTIONS
            )
        except (OSError, asyncpg.CannotConnectNowError):
            if time.monotonic() > deadline:
                log = (folder / "primary.log").read_text("utf-8", "replace")
                raise SystemExit(f"PostgreSQL did not start:\n{log[-2000:]}") from None
            await asyncio.sleep(0.1)


async def _await_standbys(made: Postgresql, folder: Path) -> None:
    """Raises SystemExit when they do not stream in time: without them a commit would wait for ever."""
    deadline = time.monotonic() + START_S
    while await made.standbys() < len(STANDBYS):
        if time.monotonic() > deadline:
            logs = "\n".join((folder / f"{name}.log").read_text("utf-8", "replace")[-1000:] for name in STANDBYS)
            raise SystemExit(f"PostgreSQL's standbys do not stream:\n{logs}")
        await asyncio.sleep(0.1)
