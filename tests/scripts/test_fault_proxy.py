"""The proxy that stands for a bad network does what each condition says, and loses or swaps no byte on the way."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from drills.fault_proxy import CLEAR, REFUSED, SILENT, Condition, FaultProxy

A_WHILE_S = 0.3
"""Long enough for loopback to deliver what is not held up."""


@dataclass(slots=True)
class Peer:
    """Mutable. A node's stand-in: keeps what it received and echoes it when told to."""

    received: bytearray = field(default_factory=bytearray)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    ended: int = 0
    port: int = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while data := await reader.read(1 << 16):
                self.received += data
        except ConnectionError:
            pass
        self.ended += 1
        writer.close()

    async def wait_for(self, count: int) -> bytes:
        async with asyncio.timeout(10):
            while len(self.received) < count:
                await asyncio.sleep(0.005)
        return bytes(self.received)


@asynccontextmanager
async def proxied(seed: int = 1) -> AsyncIterator[tuple[FaultProxy, Peer, Peer]]:
    """A proxy between `a` and `b`, and both of them."""
    one, other = Peer(), Peer()
    servers = [await asyncio.start_server(peer.accept, "127.0.0.1", 0) for peer in (one, other)]
    one.port, other.port = (server.sockets[0].getsockname()[1] for server in servers)
    targets = {"a": ("127.0.0.1", one.port), "b": ("127.0.0.1", other.port)}
    try:
        async with FaultProxy(targets, seed) as proxy:
            yield proxy, one, other
    finally:
        for server in servers:
            server.close()
        for writer in (*one.writers, *other.writers):
            writer.close()
        await asyncio.sleep(0.01)


async def dial(proxy: FaultProxy, sender: str, receiver: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", proxy.ports[sender, receiver])


async def test_bytes_arrive_in_order_under_delay_jitter_and_loss() -> None:
    async with proxied(seed=5) as (proxy, _, b):
        proxy.set_all(Condition(delay_ms=5, jitter_ms=20, loss=0.1))
        _, writer = await dial(proxy, "a", "b")
        sent = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(20_000))
        for begin in range(0, len(sent), 40_000):
            writer.write(sent[begin : begin + 40_000])
            await writer.drain()
        assert await b.wait_for(len(sent)) == sent
        assert proxy.passed_bytes == len(sent)
        writer.close()


async def test_a_delay_is_waited_for() -> None:
    async with proxied() as (proxy, _, b):
        proxy.set("a", "b", Condition(delay_ms=200))
        _, writer = await dial(proxy, "a", "b")
        begin = time.monotonic()
        writer.write(b"late")
        await b.wait_for(4)
        assert time.monotonic() - begin >= 0.2
        writer.close()


async def test_a_rate_lets_bytes_drip() -> None:
    async with proxied() as (proxy, _, b):
        proxy.set("a", "b", Condition(bytes_per_s=4_096))
        _, writer = await dial(proxy, "a", "b")
        begin = time.monotonic()
        writer.write(b"x" * 2_048)
        await b.wait_for(512)
        assert len(b.received) < 2_048, "not all at once"
        await b.wait_for(2_048)
        assert time.monotonic() - begin >= 0.3
        writer.close()


async def test_one_way_silence_holds_one_direction_and_ends_no_connection() -> None:
    async with proxied() as (proxy, _, b):
        reader, writer = await dial(proxy, "a", "b")
        writer.write(b"one")
        await b.wait_for(3)
        proxy.set("a", "b", SILENT)
        writer.write(b"two")
        b.writers[0].write(b"back")
        assert await asyncio.wait_for(reader.readexactly(4), 5) == b"back"
        await asyncio.sleep(A_WHILE_S)
        assert bytes(b.received) == b"one"
        proxy.clear()
        assert await b.wait_for(6) == b"onetwo"
        writer.close()


async def test_silence_from_a_to_b_holds_the_answers_on_connections_of_b_too() -> None:
    """A direction is of packets, whoever opened the connection."""
    async with proxied() as (proxy, a, _):
        reader, writer = await dial(proxy, "b", "a")
        writer.write(b"question")
        await a.wait_for(8)
        proxy.set("a", "b", SILENT)
        a.writers[0].write(b"answer")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(6), A_WHILE_S)
        writer.write(b" again")
        assert await a.wait_for(14) == b"question again"
        proxy.set("a", "b", CLEAR)
        assert await asyncio.wait_for(reader.readexactly(6), 5) == b"answer"
        writer.close()


async def test_an_isolated_node_can_be_dialled_and_never_answers() -> None:
    async with proxied() as (proxy, _, b):
        proxy.isolate("b")
        _, writer = await dial(proxy, "a", "b")
        writer.write(b"hello?")
        await asyncio.sleep(A_WHILE_S)
        assert not b.writers, "the peer saw no connection"
        proxy.clear()
        assert await b.wait_for(6) == b"hello?"
        writer.close()


async def test_a_refusal_ends_connections_and_takes_no_new_ones_until_it_is_cleared() -> None:
    async with proxied() as (proxy, _, b):
        reader, writer = await dial(proxy, "a", "b")
        writer.write(b"x")
        await b.wait_for(1)
        proxy.set("b", "a", REFUSED)
        assert await is_hung_up(reader)
        writer.close()
        again, second = await dial(proxy, "a", "b")
        assert await is_hung_up(again)
        second.close()
        proxy.clear()
        _, third = await dial(proxy, "a", "b")
        third.write(b"y")
        assert await b.wait_for(2) == b"xy"
        third.close()


async def test_a_reset_ends_what_runs_and_nothing_more() -> None:
    async with proxied() as (proxy, _, b):
        reader, writer = await dial(proxy, "a", "b")
        writer.write(b"x")
        await b.wait_for(1)
        assert proxy.reset("b", "a") == 1
        assert await is_hung_up(reader)
        writer.close()
        _, second = await dial(proxy, "a", "b")
        second.write(b"y")
        assert await b.wait_for(2) == b"xy"
        second.close()


async def test_after_a_redirection_somebody_else_is_found_there() -> None:
    async with proxied() as (proxy, a, b):
        reader, writer = await dial(proxy, "a", "b")
        writer.write(b"x")
        await b.wait_for(1)
        proxy.redirect("a", "b", "127.0.0.1", a.port)
        assert await is_hung_up(reader)
        writer.close()
        _, second = await dial(proxy, "a", "b")
        second.write(b"y")
        assert await a.wait_for(1) == b"y"
        second.close()


async def test_a_peer_that_does_not_listen_is_a_hang_up() -> None:
    async with FaultProxy({"a": ("127.0.0.1", 1), "b": ("127.0.0.1", 1)}, 1) as proxy:
        reader, writer = await dial(proxy, "a", "b")
        assert await is_hung_up(reader)
        writer.close()


async def test_an_end_that_closes_is_passed_on() -> None:
    async with proxied() as (proxy, _, b):
        _, writer = await dial(proxy, "a", "b")
        writer.write(b"bye")
        await b.wait_for(3)
        writer.close()
        async with asyncio.timeout(5):
            while not b.ended:
                await asyncio.sleep(0.005)


async def is_hung_up(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(), 5) == b""
    except ConnectionResetError:
        return True


def test_what_is_late_follows_from_the_seed() -> None:
    condition = Condition(delay_ms=10, jitter_ms=50, loss=0.3)

    def draw(seed: int) -> list[float]:
        proxy = FaultProxy({"a": ("", 0), "b": ("", 0)}, seed)
        return [proxy._late_s(condition) for _ in range(50)]

    assert draw(3) == draw(3) != draw(4)
    assert all(0.01 <= late <= 0.06 + 0.2 * (2**5 - 1) for late in draw(3))
