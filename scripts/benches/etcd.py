"""A private etcd cluster to measure beside: three members, fsync on, a put a record, a gRPC connection a client.

It must not know what it is compared with.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from benches.grpc_call import CallFailed, GrpcConnection, decode_fields, encode_fields
from benches.peer import find_ports, private_folder, run_loops, running_server
from benches.turn import Work

MEMBERS = 3
START_S = 30.0
USER = "etcd"
PUT, RANGE = "/etcdserverpb.KV/Put", "/etcdserverpb.KV/Range"
_EVERY_KEY = b"\0"
"""As key and as end of a range it means all keys (etcd's rpc.proto, RangeRequest)."""
_RANGE_COUNT_ONLY, _RANGE_COUNT = 9, 4


class Etcd:
    """Mutable. A running cluster of three members."""

    name = "etcd"
    words = "etcd, three members, a put committed on a majority, fsync, unsigned records"

    def __init__(self, pids: Sequence[int], ports: Sequence[int]) -> None:
        self._pids, self._ports = tuple(pids), tuple(ports)
        self._keys = itertools.count()

    def pids(self) -> Sequence[int]:
        """The process of each member."""
        return self._pids

    async def append(self, clients: int, records: int) -> Work:
        """Put random records under new keys in closed loops, spread over the members."""
        connections: list[GrpcConnection] = []

        async def open_client(number: int) -> Callable[[bytes], Awaitable[None]]:
            connection = await GrpcConnection.open("127.0.0.1", self._ports[number % MEMBERS])
            connections.append(connection)

            async def put(body: bytes) -> None:
                await connection.call(PUT, encode_fields([(1, b"%012d" % next(self._keys)), (2, body)]))

            return put

        try:
            return await run_loops(clients, records, open_client)
        finally:
            for connection in connections:
                connection.close()

    async def count(self) -> int:
        """Records that it holds, asked with a linearizable read."""
        connection = await GrpcConnection.open("127.0.0.1", self._ports[0])
        try:
            question = encode_fields([(1, _EVERY_KEY), (2, _EVERY_KEY), (_RANGE_COUNT_ONLY, 1)])
            answer = decode_fields(await connection.call(RANGE, question))
        finally:
            connection.close()
        return int(answer.get(_RANGE_COUNT, 0))


@contextlib.asynccontextmanager
async def running_etcd(program: Path) -> AsyncIterator[Etcd]:
    """Three members from this program, stopped and wiped at the end."""
    with private_folder("etcd", USER) as (folder, rights), contextlib.ExitStack() as servers:
        ports = find_ports(2 * MEMBERS)
        pids = []
        for number in range(MEMBERS):
            command = [*rights, *_member_command(program, folder, number, ports)]
            pids.append(servers.enter_context(running_server(command, folder / f"{number}.log")).pid)
        made = Etcd(pids, ports[:MEMBERS])
        await _await_leader(made, folder)
        yield made


def _member_command(program: Path, folder: Path, number: int, ports: Sequence[int]) -> list[str]:
    """Clients at the first ports, peers at the others."""
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    members = ",".join(f"m{place}={urls[MEMBERS + place]}" for place in range(MEMBERS))
    return [
        str(program),
        f"--name=m{number}",
        f"--data-dir={folder / str(number)}",
        f"--listen-client-urls={urls[number]}",
        f"--advertise-client-urls={urls[number]}",
        f"--listen-peer-urls={urls[MEMBERS + number]}",
        f"--initial-advertise-peer-urls={urls[MEMBERS + number]}",
        f"--initial-cluster={members}",
        "--log-level=error",
    ]


async def _await_leader(made: Etcd, folder: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            async with asyncio.timeout(START_S / 6):
                await made.count()
            return
        except (OSError, CallFailed, TimeoutError):
            if time.monotonic() > deadline:
                log = (folder / "0.log").read_text("utf-8", "replace")
                raise SystemExit(f"etcd did not start:\n{log[-2000:]}") from None
            await asyncio.sleep(0.1)
