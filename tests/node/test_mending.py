"""Openings that a node never got, or has lost, come back beside its work: from members, verified, once and for all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest_asyncio

from keys import Founding, make_genesis
from server.node.node import Node
from server.node.opening import open_node
from server.record.shape import seal
from server.record.signature import commitment_of
from server.storage.openings import HeldOpening
from server.storage.statements import change
from tests.api.running import free_port
from tests.node.test_state_root import MEMBERS, WAIT_MS, Trio, until

PRIVATE = ("contact", "place", "text")
REPORTS = 5


class Town(Trio):
    """Three organisations whose officer reports what only they may read."""

    async def report(self, node: Node) -> dict[str, bytes]:
        """Order a report; whatever becomes of it, its openings are kept. Returns them by commitment."""
        sealed = {name: seal(f"{name} {self.count}", self.count.to_bytes(16)) for name in PRIVATE}
        body = {"category": "door", "home": False, "photos": [], **{name: one[0] for name, one in sealed.items()}}
        openings = tuple(opening for _, opening in sealed.values())
        work = await node.admit(self.sign("street", "ticket.report", body, node.now_ms()), openings)
        await node.submit(work, openings, wait_ms=WAIT_MS)
        return {commitment_of(opening): opening for opening in openings}


@pytest_asyncio.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    names = dict.fromkeys(MEMBERS, "组织")
    make_genesis(tmp_path / "genesis", Founding(("garden", "花园"), "linli.test/garden"), names)
    yield Town(tmp_path, {name: free_port() for name in MEMBERS})


async def opened(town: Town, stack: AsyncExitStack) -> list[Node]:
    """All three nodes, connected, with some reports that all have stored."""
    nodes = [await stack.enter_async_context(open_node(town.config(name))) for name in MEMBERS]
    for _ in range(REPORTS):
        await town.report(nodes[0])
    tip = max(node.ledger.tip.height for node in nodes)
    await until(lambda: all(node.ledger.tip.height >= tip for node in nodes))
    await until(lambda: all(len(node.parts.attachments._peers.connected()) == 2 for node in nodes))
    return nodes


async def held_by(node: Node) -> dict[str, dict[str, bytes]]:
    """Every opening of an ordered record that a node holds."""
    entries = await node.ledger.entries(range(node.ledger.tip.size))
    return await node.openings.of_records(entry.record for entry in entries)


async def lose(node: Node) -> None:
    """As a newcomer stands there: the blocks are here, what is private in them is not, and nobody has looked."""
    for table in ("opening", "mended"):
        await node.ledger.database.run(lambda connection, table=table: change(connection, f'DELETE FROM "{table}"'))  # type: ignore[misc]


async def test_what_a_newcomer_lacks_comes_from_the_members_and_is_looked_for_once(town: Town) -> None:
    async with AsyncExitStack() as stack:
        whole, _, poor = await opened(town, stack)
        await lose(poor)
        mending = poor.parts.mending
        mending.pause_s = 0.0
        await mending.mend()
        assert await held_by(poor) == await held_by(whole)
        assert len(await held_by(poor)) == REPORTS
        assert (mending.missing, await poor.openings.mended_height()) == (0, poor.ledger.tip.height)
        assert poor.openings_missing == 0
        await poor.openings.collect_orphans(2**52)
        assert await held_by(poor) == await held_by(whole), "what came back is no orphan"


async def test_what_nobody_has_is_counted_and_looked_for_again_from_where_it_is_missing(town: Town) -> None:
    async with AsyncExitStack() as stack:
        nodes = await opened(town, stack)
        poor = nodes[2]
        kept = await held_by(nodes[0])
        for node in nodes:
            await lose(node)
        mending = poor.parts.mending
        mending.pause_s = 0.0
        await mending.mend()
        assert (mending.missing, await poor.openings.mended_height()) == (len(PRIVATE) * REPORTS, 0)
        found = [HeldOpening(record, *one) for record, openings in kept.items() for one in openings.items()]
        await nodes[1].openings.restore(found, 1)
        await mending.mend()
        assert (mending.missing, await held_by(poor)) == (0, kept)


async def test_a_node_that_was_killed_goes_on_where_it_had_come_to(town: Town) -> None:
    async with AsyncExitStack() as stack:
        nodes = await opened(town, stack)
        poor = nodes[2]
        await lose(poor)
        half = poor.ledger.tip.height // 2
        await poor.openings.note_mended(half)
        poor.parts.mending.pause_s = 0.0
        await poor.parts.mending.mend()
        entries = await poor.ledger.entries(range(poor.ledger.tip.size))
        later = {entry.record for entry in entries if entry.height > half}
        assert set(await held_by(poor)) == set(await held_by(nodes[0])) & later


async def test_what_was_forgotten_on_purpose_is_not_fetched_back(town: Town) -> None:
    async with AsyncExitStack() as stack:
        nodes = await opened(town, stack)
        poor = nodes[2]
        [first, *_] = sorted(await held_by(poor))
        await poor.openings.forget(first)
        poor.parts.mending.pause_s = 0.0
        await poor.parts.mending.mend()
        assert first not in await held_by(poor)
        assert first in await held_by(nodes[0])
        assert poor.parts.mending.missing == 0
