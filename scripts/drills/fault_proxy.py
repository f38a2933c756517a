"""A network that fails as it is told: a TCP proxy between every ordered pair of nodes, controlled in this process.

Each node reaches each peer at a port of its own here. What the condition of a direction says happens to all bytes that
go that way, on the connections of both nodes: delay with jitter, stalls as lost segments cause them, a rate, silence,
refusal, reset. TCP's promise holds: bytes arrive in order, each once, or the connection ends. Chance comes from a seed.
It must not know what the bytes say.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

Pair = tuple[str, str]
"""(from, to)."""
CHUNK_BYTES = 64 * 1024
DRIP_BYTES = 512
"""A piece at a limited rate: a peer sees its frames come in crumbs."""
CHUNKS_ON_THE_WAY_MAX = 64
"""Chunks of one direction that are delayed at a time; then the sender's own buffers fill, as on a real line."""
RETRANSMISSION_MS = 200.0
"""Linux's shortest wait before a lost segment is sent again; twice as long each time (RFC 6298)."""
RETRANSMISSIONS_MAX = 5
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST, as a host does that forgot the connection."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How bytes fare in one direction. `loss`: share of chunks with a segment sent again; a rate of 0: no bound.

    `is_silent`: nothing arrives and nobody is told, as behind a pulled cable. `is_refused`: whoever connects is hung
    up on, and so are those who were connected.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    bytes_per_s: int = 0
    is_silent: bool = False
    is_refused: bool = False


CLEAR = Condition()
SILENT = Condition(is_silent=True)
REFUSED = Condition(is_refused=True)


@dataclass(slots=True)
class Direction:
    """Mutable. The condition from one node to another, and what waits for it to change."""

    condition: Condition = CLEAR
    flows: asyncio.Event = field(default_factory=asyncio.Event)

    def set(self, condition: Condition) -> None:
        """From now on."""
        self.condition = condition
        (self.flows.clear if condition.is_silent else self.flows.set)()


class FaultProxy:
    """Mutable. All directions of a cluster, and the connections under way. Use it as `async with`."""

    def __init__(self, targets: Mapping[str, tuple[str, int]], seed: int, host: str = "127.0.0.1") -> None:
        self._host = host
        self._chance = random.Random(seed)  # noqa: S311 - faults to be repeated, not a secret
        self.nodes = sorted(targets)
        """The nodes between which it stands."""
        pairs = [(sender, receiver) for sender in targets for receiver in targets if sender != receiver]
        self._targets = {(sender, receiver): targets[receiver] for sender, receiver in pairs}
        self._directions = {pair: Direction() for pair in pairs}
        self._servers: dict[Pair, asyncio.Server] = {}
        self._connections: dict[asyncio.Task[None], tuple[Pair, list[asyncio.StreamWriter]]] = {}
        self.ports: dict[Pair, int] = {}
        """Where the first node of a pair reaches the second."""
        self.passed_bytes = 0

    async def __aenter__(self) -> FaultProxy:
        """Listen; every direction is clear."""
        for pair in self._directions:
            self._directions[pair].set(CLEAR)
            self._servers[pair] = server = await asyncio.start_server(self._acceptor(pair), self._host, 0)
            self.ports[pair] = server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up on everybody."""
        for server in self._servers.values():
            server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def set(self, sender: str, receiver: str, condition: Condition) -> None:
        """Set one direction. Connections that a refusal meets end at once."""
        self._directions[sender, receiver].set(condition)
        if condition.is_refused:
            self.reset(sender, receiver)

    def set_all(self, condition: Condition) -> None:
        """Set every direction."""
        for sender, receiver in self._directions:
            self.set(sender, receiver, condition)

    def isolate(self, node: str, condition: Condition = SILENT) -> None:
        """Set every direction to and from one node."""
        for sender, receiver in self._directions:
            if node in (sender, receiver):
                self.set(sender, receiver, condition)

    def clear(self) -> None:
        """All directions are as a good network again; what was held up goes on."""
        self.set_all(CLEAR)

    def redirect(self, sender: str, receiver: str, host: str, port: int) -> None:
        """From now on `sender` finds somebody else where `receiver` was, as after a fail-over to a copy."""
        self._targets[sender, receiver] = (host, port)
        self.reset(sender, receiver)

    def reset(self, one: str, other: str) -> int:
        """End the connections between two nodes with RST. Returns how many."""
        ended = 0
        for task, (pair, writers) in list(self._connections.items()):
            if set(pair) == {one, other}:
                for writer in writers:
                    _abort(writer)
                task.cancel()
                ended += 1
        return ended

    def _acceptor(self, pair: Pair) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            writers = [writer]
            self._connections[task] = (pair, writers)
            try:
                await self._join(pair, reader, writers)
            except (OSError, asyncio.CancelledError):
                pass  # one end hung up, or a fault did: the other end is told below
            finally:
                del self._connections[task]
                for each in writers:
                    _abort(each)

        return accept

    async def _join(self, pair: Pair, reader: asyncio.StreamReader, writers: list[asyncio.StreamWriter]) -> None:
        """Connect to the node that is meant and carry bytes both ways until either side ends."""
        [writer] = writers
        there, back = self._directions[pair], self._directions[pair[::-1]]
        if there.condition.is_refused or back.condition.is_refused:
            return
        await there.flows.wait()
        far_reader, far_writer = await asyncio.open_connection(*self._targets[pair])
        writers.append(far_writer)
        carrying = [
            asyncio.create_task(self._carry(reader, far_writer, there)),
            asyncio.create_task(self._carry(far_reader, writer, back)),
        ]
        try:
            await asyncio.wait(carrying, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in carrying:
                task.cancel()
            await asyncio.gather(*carrying, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction) -> None:
        """One direction of one connection: read, and give each chunk to the far end when its time has come."""
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_ON_THE_WAY_MAX)
        delivering = asyncio.create_task(self._deliver(on_the_way, writer, direction))
        try:
            due_s = 0.0
            while data := await reader.read(CHUNK_BYTES):
                due_s = max(due_s, time.monotonic() + self._late_s(direction.condition))
                await on_the_way.put((due_s, data))
            await on_the_way.put((due_s, b""))
            await delivering
        finally:
            delivering.cancel()

    async def _deliver(
        self, on_the_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, direction: Direction
    ) -> None:
        while True:
            due_s, data = await on_the_way.get()
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            await direction.flows.wait()
            if not data:
                return
            await self._write(writer, data, direction)

    async def _write(self, writer: asyncio.StreamWriter, data: bytes, direction: Direction) -> None:
        """Write at the direction's rate, which may change meanwhile."""
        position = 0
        while position < len(data):
            await direction.flows.wait()
            rate = direction.condition.bytes_per_s
            end = min(len(data), position + DRIP_BYTES) if rate else len(data)
            writer.write(data[position:end])
            await writer.drain()
            self.passed_bytes += end - position
            if rate:
                await asyncio.sleep((end - position) / rate)
            position = end

    def _late_s(self, condition: Condition) -> float:
        """How much later than at once a chunk arrives."""
        late_ms = condition.delay_ms + self._chance.uniform(0.0, condition.jitter_ms)
        wait_ms = RETRANSMISSION_MS
        for _ in range(RETRANSMISSIONS_MAX):
            if not condition.loss or self._chance.random() >= condition.loss:
                break
            late_ms += wait_ms
            wait_ms *= 2
        return late_ms / 1000


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close with RST: a failing network says no goodbye."""
    if writer.transport.is_closing():
        return
    connected: socket.socket = writer.get_extra_info("socket")
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
