"""Nodes of two releases run together, begin another version of the rules when all know it, and never guess one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

import replay as replay_script
from drills.next_release import NEXT_RULEBOOK as RULEBOOK
from server.domain import RULEBOOK as OLD_RULEBOOK
from server.domain.rules import Rulebook
from server.node.node import Node, Stopped
from server.node.opening import open_node
from server.node.parts import RulesUnsupported
from server.node.pool import Waiting
from server.record.canonical import Malformed, decode
from server.storage.reexecution import LogDiffers, Reexecution, blocks_told
from tests.node.test_state_root import MEMBERS, SCHEDULE, Trio, trio, until

__all__ = ["trio"]
HEAD = {"area_cm2": 1, "leaf": "A" * 43, "members": ["li"]}
ROLL = {"heads": [HEAD], "part": 0, "position": 0, "roll": "next", "root": "A" * 43}


class Cluster:
    """Mutable. Three running nodes; each can be ended and begun again with another release."""

    def __init__(self, folders: Trio) -> None:
        self.folders = folders
        self.nodes: dict[str, Node] = {}
        self._stacks: dict[str, AsyncExitStack] = {}

    async def begin(self, name: str, rulebook: Rulebook) -> Node:
        stack = self._stacks[name] = AsyncExitStack()
        opening = open_node(self.folders.config(name), SCHEDULE, rulebook)
        self.nodes[name] = await stack.enter_async_context(opening)
        return self.nodes[name]

    async def end(self, name: str) -> None:
        await self._stacks.pop(name).aclose()

    async def replace(self, name: str, rulebook: Rulebook) -> Node:
        await self.end(name)
        return await self.begin(name, rulebook)

    async def all_know(self, version: int) -> None:
        """Every running node has heard that every other one knows a version."""
        await until(
            lambda: all(
                node.parts.known_rules(member) >= version
                for name, node in self.nodes.items()
                if name in self._stacks
                for member in MEMBERS
            )
        )

    async def activate(self, height: int) -> list[str]:
        body = {"height": height, "version": 2}
        return [
            (await self.folders.post(self.nodes["street"], name, "rules.activate", body)).outcome
            for name in ("street", "property")
        ]


@asynccontextmanager
async def running(folders: Trio, **rulebooks: Rulebook) -> AsyncIterator[Cluster]:
    cluster = Cluster(folders)
    try:
        for name, rulebook in rulebooks.items():
            await cluster.begin(name, rulebook)
        yield cluster
    finally:
        for name in list(cluster._stacks):
            await cluster.end(name)


def versions(contents: list[bytes]) -> list[int]:
    """The version of each block, by its leaf."""
    systems = [decode(content).get("system", {}) for content in contents]
    return [system["body"]["rules"] for system in systems if system.get("kind") == "block.leaf"]


async def test_a_version_begins_at_its_height_on_all_nodes_and_not_before_every_release_knows_it(trio: Trio) -> None:
    async with running(trio, committee=OLD_RULEBOOK, property=RULEBOOK, street=RULEBOOK) as cluster:
        street = cluster.nodes["street"]
        await trio.order(street, 1)
        await until(lambda: street.parts.known_rules("property") == 2)
        with pytest.raises(RulesUnsupported, match="committee"):
            await cluster.activate(9)
        assert not list(street.parts.pool)
        await cluster.replace("committee", RULEBOOK)
        await cluster.all_know(2)
        begin = street.ledger.tip.height + 4
        assert await cluster.activate(begin) == ["accepted", "accepted"]
        status = street.cluster_status()
        assert (status["rules"], status["next_rules"]) == (1, {"version": 2, "height": begin})
        assert [node["rules"] for node in status["nodes"]] == [2, 2, 2]
        await trio.order(street, 3)
        height = street.ledger.tip.height
        await until(lambda: all(node.ledger.tip.height >= height for node in cluster.nodes.values()))
        assert (street.cluster_status()["rules"], street.cluster_status()["next_rules"]) == (2, None)
        contents = await street.ledger.contents(0, street.ledger.tip.size)
        found = versions(contents)
        assert found == [1] * (begin - 1) + [2] * (len(found) - begin + 1)
        for name in MEMBERS[:2]:
            assert (await cluster.nodes[name].ledger.contents(0, 20)) == contents[:20]
    replay(trio, contents, RULEBOOK)
    genesis = trio.folder / "genesis" / "genesis.json"
    replayed = replay_script.replay_data(trio.folder / "committee", genesis, SCHEDULE, RULEBOOK)
    assert replayed.end.height >= begin
    with pytest.raises(LogDiffers, match="too old"):
        replay_script.replay_data(trio.folder / "committee", genesis, SCHEDULE)
    with pytest.raises(LogDiffers, match=f"block {begin}.*too old: it knows rules up to 1, not 2"):
        replay(trio, contents, OLD_RULEBOOK)


def replay(folders: Trio, contents: list[bytes], rulebook: Rulebook) -> None:
    with ThreadPoolExecutor(1) as threads:
        replayed = Reexecution(*folders.genesis, threads, SCHEDULE, rulebook)
        for told in blocks_told(contents):
            replayed.take(told)


async def test_a_node_whose_release_is_too_old_stops_with_that_word_and_serves_what_it_has(trio: Trio) -> None:
    async with running(trio, committee=RULEBOOK, property=RULEBOOK, street=RULEBOOK) as cluster:
        street = cluster.nodes["street"]
        await cluster.all_know(2)
        await cluster.activate(street.ledger.tip.height + 5)
        before = cluster.nodes["committee"].ledger.tip.size
        old = await cluster.replace("committee", OLD_RULEBOOK)
        await trio.order(street, 5)
        await until(lambda: old.stop is not None)
        ready, reason = old.ready()
        assert not ready
        assert "stopped: outdated: this release is too old: it knows rules up to 1" in reason
        assert old.parts.rules.version == 1
        assert versions(await old.ledger.contents(0, old.ledger.tip.size)).count(2) == 0
        assert old.ledger.tip.size >= before
        with pytest.raises(Stopped):
            await trio.post(old, "street", "role.grant", {"member": "x", "organisation": "street", "role": "staff"})
        again = await cluster.replace("committee", RULEBOOK)
        height = street.ledger.tip.height
        await until(lambda: again.ledger.tip.height >= height)
        await trio.order(again, 1)


async def test_a_node_put_back_to_a_release_that_is_too_old_for_its_own_blocks_serves_them_and_signs_nothing(
    trio: Trio,
) -> None:
    async with running(trio, committee=RULEBOOK, property=RULEBOOK, street=RULEBOOK) as cluster:
        street, committee = cluster.nodes["street"], cluster.nodes["committee"]
        await cluster.all_know(2)
        await cluster.activate(street.ledger.tip.height + 4)
        await trio.order(street, 4)
        await until(lambda: committee.ledger.tip.height == street.ledger.tip.height)
        size = committee.ledger.tip.size
        old = await cluster.replace("committee", OLD_RULEBOOK)
        await until(lambda: old.stop is not None)
        assert old.stop is not None
        assert old.stop.reason == "outdated"
        assert 2 in versions(await old.ledger.contents(0, size))
        await trio.order(street, 1)
        assert old.ledger.tip.size == size


async def test_a_record_that_the_next_version_does_not_know_leaves_the_pool_when_that_begins(trio: Trio) -> None:
    """Else everybody would wait for it, and suspect a primary that passes it over."""
    async with running(trio, committee=RULEBOOK, property=RULEBOOK, street=RULEBOOK) as cluster:
        street, committee = cluster.nodes["street"], cluster.nodes["committee"]
        await cluster.all_know(2)
        await cluster.activate(street.ledger.tip.height + 4)
        await until(lambda: street.parts.plan is not None)
        jws = trio.sign("street", "roll.publish", {**ROLL, "parts": 3}, street.now_ms())
        works = [await street.admit(each, ()) for each in (jws, trio.grant(street))]
        assert not street.driver.replica.state.is_primary, "it orders nothing by itself"
        waiting = [street.parts.pool.add(Waiting(work, (), street.now_ms(), ours=True)) for work in works]
        while street.parts.agenda.rules == 1:
            await trio.order(committee, 1)
            await until(lambda: street.ledger.tip.height >= committee.ledger.tip.height)
        assert list(street.parts.pool) == waiting[1:]
        assert waiting[0].done.is_set()
        assert street.parts.rules.has_made(waiting[1].work.signed.body)
        with pytest.raises(Malformed, match="parts"):
            await street.admit(trio.sign("street", "roll.publish", {**ROLL, "parts": 3}, street.now_ms()), ())
