"""Nodes tell the root of their whole state in the log, agree on it, and a node whose rows were changed is found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import replay
from keys import Founding, make_genesis, officer_id
from server.config import Config, NodeSettings, PeerSettings, TransportSettings
from server.domain.state_root import Schedule
from server.ledger.block import Header, block_id, entries_root
from server.ledger.genesis import Genesis, estate_of, parse_genesis
from server.node.driver import NodeFailed
from server.node.node import Node, Stopped, Submission
from server.node.opening import open_node
from server.record.canonical import b64u_encode, decode, encode
from server.record.envelope import Payload, sign_record
from server.record.signature import DeviceSigner
from server.storage.ledger import Ledger
from server.storage.reexecution import LogDiffers, Reexecution, blocks_told
from server.storage.statements import change
from server.storage.stored import item_of
from tests.api.running import free_port

MEMBERS = ("committee", "property", "street")
SCHEDULE = Schedule(every=4, lag=2)
WAIT_MS = 20_000


@dataclass(slots=True)
class Trio:
    """Mutable. Folders of three organisations; the officer of one signs records without end."""

    folder: Path
    ports: dict[str, int]
    count: int = 0

    @property
    def genesis(self) -> tuple[Genesis, bytes]:
        return parse_genesis((self.folder / "genesis" / "genesis.json").read_bytes())

    def config(self, me: str) -> Config:
        return Config(
            node=NodeSettings(
                id=me,
                genesis=str(self.folder / "genesis" / "genesis.json"),
                keys=str(self.folder / "genesis" / me),
                data=str(self.folder / me),
            ),
            transport=TransportSettings(port=self.ports[me]),
            peers={name: PeerSettings(host="127.0.0.1", port=self.ports[name]) for name in MEMBERS if name != me},
        )

    def sign(self, organisation: str, kind: str, body: dict[str, Any], now_ms: int) -> str:
        """A record of an organisation's officer."""
        self.count += 1
        pem = (self.folder / "genesis" / organisation / f"officer-{organisation}.pem").read_bytes()
        payload = Payload(
            author=officer_id(organisation), body=body, estate=estate_of(*self.genesis), expires_ms=now_ms + 60_000,
            kind=kind, made_ms=now_ms, nonce=b64u_encode(self.count.to_bytes(16)),
        )  # fmt: skip
        return sign_record(DeviceSigner.from_pem(pem), payload)

    async def post(self, node: Node, organisation: str, kind: str, body: dict[str, Any]) -> Submission:
        """Have a record of an organisation's officer ordered."""
        work = await node.admit(self.sign(organisation, kind, body, node.now_ms()), ())
        return await node.submit(work, (), wait_ms=WAIT_MS)

    def grant(self, node: Node) -> str:
        """A record that was not signed before."""
        body = {"member": f"m-{self.count}", "organisation": "street", "role": "committee"}
        return self.sign("street", "role.grant", body, node.now_ms())

    async def order(self, node: Node, blocks: int) -> None:
        """Records one after the other, until the node has stored this many blocks more."""
        end = node.ledger.tip.height + blocks
        while node.ledger.tip.height < end:
            await node.submit(await node.admit(self.grant(node), ()), (), wait_ms=WAIT_MS)


@pytest_asyncio.fixture
async def trio(tmp_path: Path) -> AsyncIterator[Trio]:
    names = dict.fromkeys(MEMBERS, "组织")
    make_genesis(tmp_path / "genesis", Founding(("garden", "花园"), "linli.test/garden"), names)
    yield Trio(tmp_path, {name: free_port() for name in MEMBERS})


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_MS / 1_000):
        while not holds():
            await asyncio.sleep(0.02)


async def told(ledger: Ledger) -> list[dict[str, Any]]:
    """What the log tells of states."""
    entries = [decode(content) for content in await ledger.contents(0, ledger.tip.size)]
    return [entry for entry in entries if entry.get("system", {}).get("kind") == "state.root"]


def execute(trio: Trio, contents: list[bytes]) -> Reexecution:
    with ThreadPoolExecutor(1) as threads:
        replayed = Reexecution(*trio.genesis, threads, SCHEDULE)
        for block in blocks_told(contents):
            replayed.take(block)
        return replayed


async def test_three_nodes_tell_the_same_states_and_a_replay_of_the_log_comes_to_them(trio: Trio) -> None:
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(open_node(trio.config(name), SCHEDULE)) for name in MEMBERS]
        await trio.order(nodes[2], 11)
        height = nodes[2].ledger.tip.height
        await until(lambda: all(node.ledger.tip.height >= height for node in nodes))
        ledger = nodes[0].ledger
        states = await told(ledger)
        assert [(entry["height"], entry["system"]["key"]) for entry in states][:2] == [(6, "4"), (10, "8")]
        contents = await ledger.contents(0, ledger.tip.size)
        replayed = execute(trio, contents)
        assert replayed.state is not None
        bodies = {entry["system"]["key"]: entry["system"]["body"] for entry in states}
        newest = str(replayed.state.height)
        assert newest not in bodies or replayed.state.item().body == bodies[newest]
        await until(lambda: all((trio.folder / name / "snapshots" / "8").exists() for name in MEMBERS))
        manifests = {(trio.folder / name / "snapshots" / "8" / "manifest.json").read_bytes() for name in MEMBERS}
        assert len(manifests) == 1, "byte for byte"
        index, forged = forge_state(contents, trio.genesis[1])
        with pytest.raises(LogDiffers, match="tells the state") as caught:
            execute(trio, forged)
        assert (caught.value.height, caught.value.index) == (6, index)


async def test_a_replay_of_a_nodes_folder_names_the_chunk_of_a_snapshot_that_is_another_one(trio: Trio) -> None:
    data, genesis = trio.folder / "street", trio.folder / "genesis" / "genesis.json"
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(open_node(trio.config(name), SCHEDULE)) for name in MEMBERS]
        await trio.order(nodes[2], 7)
        newest = data / "snapshots" / str(nodes[2].ledger.tip.height // 4 * 4)
        await until(newest.exists)
    replayed = await asyncio.to_thread(replay.replay_data, data, genesis, SCHEDULE)
    assert replayed.state is not None
    chunk = data / "snapshots" / str(replayed.state.height) / "00000.chunk"
    whole = chunk.read_bytes()
    for damaged in (whole.replace(b"resident", b"merchant").replace(b"committee", b"merchants"), b""):
        chunk.write_bytes(damaged)
        with pytest.raises(LogDiffers, match="chunk 0 of the snapshot"):
            await asyncio.to_thread(replay.replay_data, data, genesis, SCHEDULE)
    chunk.write_bytes(whole)
    (chunk.parent / "manifest.json").write_bytes(b"{}")
    with pytest.raises(LogDiffers, match="the manifest of the snapshot"):
        await asyncio.to_thread(replay.replay_data, data, genesis, SCHEDULE)


def forge_state(contents: list[bytes], cluster_id: bytes) -> tuple[int, list[bytes]]:
    """(index, log) of a log that ends with another root of its first state; its block is made to fit."""
    index = next(place for place, content in enumerate(contents) if b'"state.root"' in content)
    end = next(place for place in range(index, len(contents)) if b'"block.leaf"' in contents[place])
    begin = max(place for place in range(index) if b'"block.leaf"' in contents[place]) + 1
    entry, leaf = decode(contents[index]), decode(contents[end])
    entry["system"]["body"]["root"] = "A" * 43
    block = [*contents[begin:index], encode(entry), *contents[index + 1 : end]]
    items = [item for content in block if (item := item_of(content)) is not None]
    body, before = leaf["system"]["body"], decode(contents[begin - 1])["system"]["body"]
    body["entries_root"] = entries_root(items)
    header = Header(
        sum(map(len, items)), body["entries_root"], body["epoch"], leaf["height"], body["prev"], body["proposer"],
        body["rules"], before["state_digest"], leaf["time_ms"],
    )  # fmt: skip
    body["block_id"] = block_id(cluster_id, header)
    return index, [*contents[:begin], *block, encode(leaf)]


async def test_a_node_whose_rows_were_changed_ends_at_the_next_state_and_the_others_go_on(trio: Trio) -> None:
    """A row that no block touches: no digest of a block shows the change."""

    async def run_damaged(started: asyncio.Future[Node]) -> None:
        async with open_node(trio.config("committee"), SCHEDULE) as node:
            started.set_result(node)
            await asyncio.sleep(WAIT_MS)

    async with AsyncExitStack() as stack:
        started: asyncio.Future[Node] = asyncio.get_running_loop().create_future()
        damaged = asyncio.create_task(run_damaged(started))
        node = await started
        sql = """UPDATE "member" SET "roles" = '["committee@property"]' WHERE "id" = 'officer-property'"""
        await node.ledger.database.run(lambda connection: change(connection, sql))
        others = [
            await stack.enter_async_context(open_node(trio.config(name), SCHEDULE)) for name in ("property", "street")
        ]
        with suppress(Stopped):
            await trio.order(others[1], 9)
        with pytest.raises(NodeFailed, match="StateDiffers"):
            await asyncio.wait_for(damaged, WAIT_MS / 1_000)
        assert [entry["system"]["key"] for entry in await told(others[0].ledger)][:1] == ["4"]
        assert others[1].ledger.tip.height >= 9
