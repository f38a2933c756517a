"""What a system beside ours can do: append records of a ballot's size, each acknowledged once most servers synced it.

Servers run as the user that Debian's package brings, in a folder of their own that is wiped at the end. It must not
know which systems there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from benches.turn import Work

RECORD_BYTES = 600
"""A signed ballot in compact form takes so much, give or take its names."""
STOP_S = 10.0


class Peer(Protocol):
    """A running system to measure beside."""

    name: str
    words: str

    def pids(self) -> Sequence[int]:
        """The first process of each of its servers."""

    async def append(self, clients: int, records: int) -> Work:
        """Append random records in closed loops; each counts once it is acknowledged."""

    async def count(self) -> int:
        """Records that it holds."""


async def run_loops(
    clients: int, records: int, open_client: Callable[[int], Awaitable[Callable[[bytes], Awaitable[None]]]]
) -> Work:
    """Closed loops, a client each, with a fresh random record a time. Connections are open before the clock runs."""
    appends = [await open_client(number) for number in range(clients)]
    bodies = [secrets.token_bytes(RECORD_BYTES) for _ in range(records)]
    times_ms: list[float] = []

    async def loop(number: int) -> None:
        for body in bodies[number::clients]:
            begin = time.perf_counter()
            await appends[number](body)
            times_ms.append((time.perf_counter() - begin) * 1000)

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(clients):
            tasks.create_task(loop(number), name=f"client-{number}")
    return Work(time.perf_counter() - begin, times_ms)


@contextlib.contextmanager
def private_folder(name: str, user: str) -> Iterator[tuple[Path, list[str]]]:
    """A new folder, and the words before a command that give up root for `user`; wiped at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"linli-bench-{name}-"))
    rights: list[str] = []
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, user, user)
            rights = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        yield folder, rights
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running_server(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, ended with SIGINT (PostgreSQL's fast shutdown), or killed when it does not end."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd="/")
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def find_ports(count: int) -> list[int]:
    """Ports of loopback that are free now, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
