"""A cluster of three node processes with a few voters, for tests that stop and start it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from ballot_load import open_http
from client import SignedRecord
from cluster import Cluster, NodePlace, find_port_base, init_cluster
from electorate import Electorate

PATIENCE_S = 45.0
"""On a busy machine a node's process alone needs several seconds to begin."""


@dataclass(slots=True)
class Town:
    """Mutable. The cluster, its voters, and a motion that stays open."""

    cluster: Cluster
    voters: Electorate
    http: aiohttp.ClientSession
    motion: str
    _turn: int = 0

    def next_ballot(self) -> SignedRecord:
        """A ballot that nobody has cast yet."""
        count = len(self.voters.voters)
        voter, question = self.voters.voters[self._turn % count], f"q{self._turn // count}"
        self._turn += 1
        return self.voters.ballot(self.motion, voter, question)

    async def cast(self, first: int = 0) -> dict[str, Any]:
        """Cast a ballot at the node of this place, or the next that answers; returns the answer with its receipt."""
        return dict(await self.voters.committee.deliver(self.next_ballot(), first=first))

    async def ask(self, node: NodePlace, path: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON of a GET; status 0 while nobody listens."""
        try:
            async with self.http.get(node.url + path) as answer:
                return answer.status, dict(await answer.json())
        except (aiohttp.ClientError, OSError):
            return 0, {}

    async def sizes(self, node: NodePlace) -> tuple[int, int]:
        """(size, sealed size) as a node tells them; (-1, 0) while it does not run."""
        status, state = await self.ask(node, "/api/v1/cluster")
        return (state["size"], state["sealed_size"]) if status == 200 else (-1, 0)

    async def all_sealed(self) -> int:
        """Wait until every node holds the same log and all have signed its end. Returns its size."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                known = {size for node in self.cluster.nodes for size in await self.sizes(node)}
                if len(known) == 1:
                    return known.pop()
                await asyncio.sleep(0.05)

    async def start(self, *nodes: NodePlace) -> None:
        """Start nodes and wait until each is ready."""
        for node in nodes:
            self.cluster.start(node)
        for node in nodes:
            await asyncio.to_thread(self.cluster.wait_ready, node, PATIENCE_S)

    async def stop(self, node: NodePlace) -> int | None:
        """SIGTERM; the exit code, -9 when the process had to be killed."""
        return await asyncio.to_thread(self.cluster.stop, node)

    async def state_of(self, node: NodePlace, record: str) -> dict[str, Any]:
        """What a node says of a record."""
        return dict(await self.voters.committee.call("GET", f"/api/v1/records/{record}", node=self._place(node)))

    async def wait_until(self, holds: Callable[[], Any]) -> None:
        """Wait for what an async function says."""
        async with asyncio.timeout(PATIENCE_S):
            while not await holds():
                await asyncio.sleep(0.05)

    def _place(self, node: NodePlace) -> int:
        return self.cluster.nodes.index(node)


@asynccontextmanager
async def running_town(
    folder: Path,
    voters: int,
    program: str = "server",
    settings: dict[str, dict[str, str]] | None = None,
    prepare: Callable[[Cluster], None] = lambda cluster: None,
) -> AsyncIterator[Town]:
    """Three nodes with a roll of this many voters. `program`: the module that their processes run; `prepare`: what is
    done to the folders before any of them starts."""
    cluster = init_cluster(folder / "cluster", port_base=find_port_base(), settings=settings)
    cluster.program = program
    prepare(cluster)
    try:
        await asyncio.to_thread(cluster.start_all)
        async with open_http() as http:
            electorate = Electorate(http, cluster.data, cluster.urls)
            await electorate.gather(voters)
            yield Town(cluster, electorate, http, await electorate.open_motion())
    finally:
        await asyncio.to_thread(cluster.stop_all)
