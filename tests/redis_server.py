"""A private Redis server for tests: a Unix socket, no TCP, nothing on disk, gone with the process that started it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import redis

from tests.postgres import await_start, dies_with_parent


class RedisServer:
    """A running server."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.url = f"unix://{socket}"

    def answers(self) -> bool:
        """Whether it accepts commands by now."""
        with contextlib.suppress(redis.ConnectionError), redis.Redis(unix_socket_path=str(self.socket)) as client:
            return bool(client.ping())
        return False

    def empty(self) -> None:
        """Remove every key."""
        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            client.flushall()


@contextlib.contextmanager
def running_redis(program: Path) -> Iterator[RedisServer]:
    """A server started from this program, stopped and wiped at the end, whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="linli-redis-"))
    try:
        socket = folder / "socket"
        nothing_kept = ["--save", "", "--appendonly", "no", "--dir", str(folder)]
        command = [str(program), "--port", "0", "--unixsocket", str(socket), *nothing_kept]
        with (folder / "log").open("wb") as log, dies_with_parent(command, "TERM", log.fileno()) as process:
            server = RedisServer(socket)
            await_start(process, server.answers, folder / "log")
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)
