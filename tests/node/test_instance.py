"""Two processes of one member: each is shown the other by whichever peer hears both, and nobody else can do that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from server.consensus.packing import pack, unpack
from server.node import instance
from server.node.instance import InstanceGuard
from server.node.transport import CallFailed, Peers
from tests.node.test_transport import ORGANISATIONS, certificates, free_port, make_peers
from tests.simulation.keyring import HashKeyring

__all__ = ["certificates"]
pytestmark = pytest.mark.usefixtures("certificates")


@pytest.fixture
def at_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rhythm of a second as one of 30 ms."""
    monkeypatch.setattr(instance, "ANNOUNCE_S", 0.03)


class Process:
    """One running process of street, as far as the guard goes."""

    def __init__(self, peers: Peers, guard: InstanceGuard) -> None:
        self.peers, self.guard = peers, guard
        self.warned: list[str] = []


class Town:
    """owners listens; processes of street come and go."""

    def __init__(self, folder: Path, ders: dict[str, bytes]) -> None:
        self._folder, self._pinned, self.port = folder, {name: ders[name] for name in ORGANISATIONS}, free_port()
        self.owners = make_peers(folder, "owners", self._pinned)
        self.guard = InstanceGuard("owners", HashKeyring("owners"), self.owners)

    @asynccontextmanager
    async def process(self) -> AsyncIterator[Process]:
        """A process of street that is connected to owners."""
        peers = make_peers(self._folder, "street", self._pinned)
        made = Process(peers, InstanceGuard("street", HashKeyring("street"), peers))
        tasks = [
            asyncio.create_task(peers.keep_connected("owners", "127.0.0.1", self.port)),
            asyncio.create_task(made.guard.watch("owners", made.warned.append)),
        ]
        try:
            yield made
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await peers.close()


@pytest.fixture
async def town(certificates: tuple[Path, dict[str, bytes]]) -> AsyncIterator[Town]:
    made = Town(*certificates)
    await made.owners.listen("127.0.0.1", made.port)
    yield made
    await made.owners.close()
    await asyncio.sleep(0.05)


async def until(is_so: object) -> None:
    """Wait for it."""
    assert callable(is_so)
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.01)


async def test_a_process_alone_is_cleared_at_once(town: Town, at_speed: None) -> None:
    async with town.process() as street:
        await until(lambda: street.guard.is_cleared("owners"))
        await asyncio.sleep(0.3)
        assert street.warned == []


async def test_two_living_processes_are_both_warned_and_the_second_is_not_cleared(town: Town, at_speed: None) -> None:
    async with town.process() as first:
        await until(lambda: first.guard.is_cleared("owners"))
        async with town.process() as second:
            await until(lambda: first.warned and second.warned)
            assert not second.guard.is_cleared("owners")


async def test_who_follows_an_ended_process_is_cleared_and_not_warned(town: Town, at_speed: None) -> None:
    for _ in range(3):
        async with town.process() as street:
            await until(lambda: street.guard.is_cleared("owners"))
            await asyncio.sleep(0.2)
            assert street.warned == []


async def test_a_peer_that_repeats_what_a_former_process_said_warns_nobody(town: Town, at_speed: None) -> None:
    """The liar has every word that street ever signed, but none that names a nonce drawn just now."""
    said: list[bytes] = []

    async def lie(member: str, payload: bytes) -> bytes:
        said.append(payload)
        return pack((b"f" * 32, said[0]))

    town.owners.handle(instance.CALL, lie)
    for _ in range(2):
        async with town.process() as street:
            known = len(said)
            await until(lambda known=known: len(said) > known + 3)
            assert street.warned == []


async def test_a_peer_that_never_says_who_lives_is_listened_to_after_a_while(
    town: Town, at_speed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance, "PATIENCE_S", 0.3)

    async def refuse(member: str, payload: bytes) -> bytes:
        raise CallFailed("no such call")

    town.owners.handle(instance.CALL, refuse)
    async with town.process() as street:
        await until(lambda: street.guard.is_cleared("owners"))


async def test_what_a_member_did_not_sign_is_not_noted(town: Town) -> None:
    async with town.process() as street:
        await until(lambda: "owners" in street.peers.connected())
        good = unpack(await _announcement(street))
        for forged in (b"", b"x", pack(good[:1]), pack((good[0], good[1][::-1])), pack((b"{}", good[1]))):
            with pytest.raises(CallFailed):
                await street.peers.call("owners", instance.CALL, forged)


async def _announcement(street: Process) -> bytes:
    raw = b'{"heard":"","member":"street","nonce":"00"}'
    return pack((raw, HashKeyring("street").sign("INSTANCE", raw)))
