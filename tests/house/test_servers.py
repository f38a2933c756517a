"""The private servers that other tests stand on: separate, empty, and never left running."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import redis

from tests.postgres import PostgresServer
from tests.redis_server import RedisServer

ROOT = Path(__file__).resolve().parents[2]
KEEP_RUNNING = """
import sys, time, machine
from tests.postgres import running_postgres
from tests.redis_server import running_redis
with running_postgres(machine.find_postgresql()) as database, running_redis(machine.find_redis()) as cache:
    print(database.folder, cache.socket.parent, flush=True)
    time.sleep(600)
"""


def make_table(url: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url.replace("asyncpg://", "postgresql://"))
        await connection.execute("CREATE TABLE motion (id int); INSERT INTO motion VALUES (1)")
        await connection.close()

    asyncio.run(run())


async def count(url: str) -> int:
    connection = await asyncpg.connect(url.replace("asyncpg://", "postgresql://"))
    try:
        return int(await connection.fetchval("SELECT count(*) FROM motion"))
    finally:
        await connection.close()


def test_clones_of_one_template_are_separate(
    postgres_clone: Callable[[str, Callable[[str], None]], str], postgres: PostgresServer
) -> None:
    one, other = (postgres_clone("house", make_table) for _ in range(2))
    postgres.execute("INSERT INTO motion VALUES (2)", one.partition("@/")[2].partition("?")[0])
    assert asyncio.run(count(one)) == 2
    assert asyncio.run(count(other)) == 1


async def test_a_database_is_empty_and_has_no_open_port(postgres_url: str, postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(postgres_url.replace("asyncpg://", "postgresql://"))
    tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()
    assert tables == 0
    assert postgres.execute("SHOW listen_addresses") == ""


def test_a_template_that_cannot_be_filled_leaves_no_database(postgres: PostgresServer) -> None:
    def fail(url: str) -> None:
        raise RuntimeError(url)

    before = postgres.execute("SELECT count(*) FROM pg_database")
    try:
        postgres.template("never", fail)
    except RuntimeError:
        assert postgres.execute("SELECT count(*) FROM pg_database") == before
    else:
        raise AssertionError("the failure was swallowed")


def test_every_test_finds_redis_empty(redis_server: RedisServer, redis_url: str) -> None:
    with redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "over")
    redis_server.empty()
    with redis.from_url(redis_url) as client:
        assert client.dbsize() == 0


def test_a_killed_test_worker_leaves_no_server(postgres: PostgresServer, redis_url: str) -> None:
    """SIGKILL runs no `finally`: Linux itself must end the servers."""
    variables = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'scripts'}"}
    command = [sys.executable, "-c", KEEP_RUNNING]
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folders = [Path(text) for text in process.stdout.readline().split()]
        assert len(folders) == 2
        assert all(serving(folder) for folder in folders)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while any(serving(folder) for folder in folders):
        assert time.monotonic() < deadline, f"still running after their owner was killed: {folders}"
        time.sleep(0.05)
    for folder in folders:
        subprocess.run(["rm", "-r", "--", str(folder)], check=True)


def serving(folder: Path) -> bool:
    """Whether a process has this folder in its command line."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder).encode() in (entry / "cmdline").read_bytes():
                return True
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return False
