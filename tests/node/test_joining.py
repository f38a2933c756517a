"""A node that lost everything, or was away for long, takes a peer's snapshot and seals again; liars are found out."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from keys import Founding, make_genesis
from server.config import Config, ConsensusSettings
from server.domain.joining import Page, Snapshot
from server.domain.state_root import Manifest
from server.node import joining
from server.node.node import Node
from server.node.opening import open_node
from server.node.snapshot_desk import CHUNK, HISTORY, SNAPSHOT
from server.node.transport import Handler
from server.record.canonical import encode
from server.storage.replay import row_differences
from tests.api.running import free_port
from tests.node.test_state_root import MEMBERS, SCHEDULE, Trio, until

LOST = "street"
BLOCKS = 11
Twist = Callable[[bytes], bytes]


class Town(Trio):
    """Three organisations whose nodes join when they are four blocks behind."""

    def config(self, me: str) -> Config:
        return msgspec.structs.replace(super().config(me), consensus=ConsensusSettings(join_behind=4))

    def wipe(self, member: str) -> None:
        """All that a disk held is lost; the operator says that the node may begin anew."""
        shutil.rmtree(self.folder / member)
        (self.folder / "genesis" / member / "voted").unlink()


@pytest_asyncio.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    make_genesis(
        tmp_path / "genesis", Founding(("garden", "花园"), "linli.test/garden"), dict.fromkeys(MEMBERS, "组织")
    )
    yield Town(tmp_path, {name: free_port() for name in MEMBERS})


@asynccontextmanager
async def peers_of_the_lost(town: Town) -> AsyncIterator[list[Node]]:
    """Two nodes that hold a snapshot told under a signed checkpoint; the third one has lost everything."""
    async with AsyncExitStack() as stack:
        async with AsyncExitStack() as all_three:
            nodes = [await stack.enter_async_context(open_node(town.config(name), SCHEDULE)) for name in MEMBERS[:2]]
            nodes.append(await all_three.enter_async_context(open_node(town.config(LOST), SCHEDULE)))
            await town.order(nodes[2], BLOCKS)
            await until(lambda: all(node.ledger.tip.height >= BLOCKS for node in nodes))
        town.wipe(LOST)
        yield nodes[:2]


async def assert_whole(town: Town, node: Node, peer: Node) -> None:
    """The node holds the same log, rows and proofs as a peer, and a new record is sealed by all."""
    size = node.ledger.tip.size
    await town.order(peer, 1)
    await until(lambda: peer.parts.checkpoints.sealed is not None and peer.parts.checkpoints.sealed.size > size)
    await until(lambda: node.ledger.tip == peer.ledger.tip)
    tip = node.ledger.tip
    assert await node.ledger.contents(0, tip.size) == await peer.ledger.contents(0, tip.size)
    assert await row_differences(node.ledger.database, peer.ledger.database) == []
    for index in (0, 5, tip.size - 1):
        assert await node.ledger.inclusion_proof(index, tip.size) == await peer.ledger.inclusion_proof(index, tip.size)
    assert await node.ledger.consistency_proof(3, tip.size) == await peer.ledger.consistency_proof(3, tip.size)
    blocks = [await each.ledger.blocks(1) for each in (node, peer)]
    assert [block.items for block in blocks[0]] == [block.items for block in blocks[1]]
    assert all(block.certificate for block in blocks[0])


async def test_a_node_that_lost_everything_joins_by_a_snapshot_and_seals_again(town: Town) -> None:
    async with peers_of_the_lost(town) as (peer, _):
        with capture_logs() as logs:
            async with open_node(town.config(LOST), SCHEDULE) as node:
                assert [each["height"] for each in logs if each["event"] == "snapshot_joined"] == [8]
                assert not (town.folder / LOST / "joining").exists()
                await assert_whole(town, node, peer)


async def test_a_node_that_was_away_for_long_keeps_its_log_and_takes_the_rest_by_a_snapshot(town: Town) -> None:
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(open_node(town.config(name), SCHEDULE)) for name in MEMBERS[:2]]
        async with open_node(town.config(LOST), SCHEDULE) as node:
            await town.order(nodes[0], 2)
            await until(lambda: node.ledger.tip.height >= 2)
        await town.order(nodes[0], BLOCKS - 2)
        with capture_logs() as logs:
            async with open_node(town.config(LOST), SCHEDULE) as node:
                assert [each["height"] for each in logs if each["event"] == "snapshot_joined"] == [8]
                await assert_whole(town, node, nodes[0])


def twist_manifest(answer: bytes) -> bytes:
    """Another state, with a manifest of its own."""
    shown = msgspec.json.decode(answer, type=Snapshot)
    manifest = msgspec.json.decode(shown.manifest, type=Manifest)
    other = msgspec.structs.replace(manifest, chunks=("A" * 43,))
    return encode(msgspec.structs.replace(shown, manifest=encode(other).decode()))


def twist_lines(answer: bytes) -> bytes:
    """One member's line twice."""
    shown = msgspec.json.decode(answer, type=Snapshot)
    return encode(msgspec.structs.replace(shown, lines=(shown.lines[0], shown.lines[0])))


def twist_entries(answer: bytes) -> bytes:
    """Another outcome of the first record."""
    page = msgspec.json.decode(answer, type=Page)
    first = page.blocks[0]
    other = [entry.replace('"outcome":"accepted"', '"outcome":"expired"') for entry in first.entries]
    block = msgspec.structs.replace(first, entries=tuple(other))
    return encode(msgspec.structs.replace(page, blocks=(block, *page.blocks[1:])))


def twist_certificate(answer: bytes) -> bytes:
    """The certificate of the second block beside the first one."""
    page = msgspec.json.decode(answer, type=Page)
    first, second = page.blocks[:2]
    block = msgspec.structs.replace(first, certificate=second.certificate)
    return encode(msgspec.structs.replace(page, blocks=(block, second, *page.blocks[2:])))


@pytest.mark.parametrize(
    ("method", "twist"),
    [
        (SNAPSHOT, twist_manifest),
        (SNAPSHOT, twist_lines),
        (SNAPSHOT, lambda answer: answer[:-1]),
        (CHUNK, lambda answer: answer.replace(b"resident", b"merchant") + b" "),
        (CHUNK, lambda answer: answer * 2),
        (HISTORY, twist_entries),
        (HISTORY, twist_certificate),
        (HISTORY, lambda answer: b"{}"),
    ],
)
async def test_a_peer_that_gives_something_wrong_is_found_out_and_another_one_is_asked(
    town: Town, method: str, twist: Twist
) -> None:
    async with peers_of_the_lost(town) as (liar, honest):
        honest_handler = liar._peers._handlers[method]

        async def lie(member: str, payload: bytes) -> bytes:
            return twist(await honest_handler(member, payload))

        liar._peers.handle(method, lie)
        with capture_logs() as logs:
            async with open_node(town.config(LOST), SCHEDULE) as node:
                assert [each["height"] for each in logs if each["event"] == "snapshot_joined"] == [8]
                found = [each["member"] for each in logs if each["event"] == "peer_gave_a_wrong_snapshot"]
                assert found == [liar.me]
                await assert_whole(town, node, honest)


async def test_when_nobody_gives_what_is_needed_a_node_executes_every_block(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "FAILED_PAUSE_S", 0.01)

    async def fail(member: str, payload: bytes) -> bytes:
        raise OSError("no such file")

    async with peers_of_the_lost(town) as nodes:
        for node in nodes:
            node._peers.handle(CHUNK, fail)
        with capture_logs() as logs:
            async with open_node(town.config(LOST), SCHEDULE) as node:
                assert node.ledger.tip.height == 0
                assert "snapshot_not_joined" in [each["event"] for each in logs]
                await assert_whole(town, node, nodes[0])


async def test_a_node_that_ended_while_it_fetched_goes_on_with_what_has_come(town: Town) -> None:
    async with peers_of_the_lost(town) as nodes:
        handlers = [node._peers._handlers[HISTORY] for node in nodes]
        asked, chunks = asyncio.Event(), list[bytes]()

        async def hold_back(member: str, payload: bytes) -> bytes:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

        def counting(handler: Handler) -> Handler:
            async def count(member: str, payload: bytes) -> bytes:
                chunks.append(payload)
                return await handler(member, payload)

            return count

        for node in nodes:
            node._peers.handle(HISTORY, hold_back)
        opening = asyncio.create_task(open_node(town.config(LOST), SCHEDULE).__aenter__())
        await asyncio.wait_for(asked.wait(), 20)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert (town.folder / LOST / "joining" / "00000.chunk").exists()
        for node, handler in zip(nodes, handlers, strict=True):
            node._peers.handle(HISTORY, handler)
            node._peers.handle(CHUNK, counting(node._peers._handlers[CHUNK]))
        with capture_logs() as logs:
            async with open_node(town.config(LOST), SCHEDULE) as node:
                assert [each["height"] for each in logs if each["event"] == "snapshot_joined"] == [8]
                assert chunks == []
                await assert_whole(town, node, nodes[0])
