"""What must come to pass once a drill leaves its cluster alone: one log, sealed by all, and an orderly end."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from cluster import Cluster
from electorate import Electorate

FOLLOW_S = 15.0
"""By then the processes that a node started must have followed it."""
SEAL_S = 30.0
"""In calm, all members must have signed the end of the log by then."""
WRITTEN_S = 2.5
"""An idle node writes the signatures of the last block every two seconds (server/node/upkeep.py)."""


async def settle(voters: Electorate, faults: list[str]) -> dict[str, int]:
    """Wait until every node holds and has sealed the same log; its last state as the first node tells it."""
    deadline = time.monotonic() + SEAL_S
    while True:
        states = await asyncio.gather(*(_state(voters, node) for node in range(len(voters.urls))))
        sizes = [(state["size"], state["sealed_size"]) for state in states]
        if len({size for pair in sizes for size in pair}) == 1:
            await asyncio.sleep(WRITTEN_S)
            return states[0]
        if time.monotonic() > deadline:
            faults.append(f"not sealed after {SEAL_S:.0f} s of calm: (size, sealed size) of the nodes are {sizes}")
            return states[0]
        await asyncio.sleep(0.1)


async def _state(voters: Electorate, node: int) -> dict[str, int]:
    try:
        return dict(await voters.officer().call("GET", "/api/v1/cluster", node=node))
    except (aiohttp.ClientError, TimeoutError, OSError):
        return {"size": -1, "sealed_size": 0, "height": 0, "view": 0}


async def stop_in_order(cluster: Cluster) -> list[str]:
    """Ask one node after the other to end. Returns what was not in order, also processes that were left behind."""
    faults = []
    for node in cluster.nodes:
        code = await asyncio.to_thread(cluster.stop, node)
        if code != 0:
            faults.append(f"{node.id} ended with {code} when it was asked to stop")
    return faults + await _find_left_behind(cluster)


async def _find_left_behind(cluster: Cluster) -> list[str]:
    """Processes that should have ended with their nodes, and have not in good time."""
    deadline = time.monotonic() + FOLLOW_S
    while left := await asyncio.to_thread(cluster.left_behind):
        if time.monotonic() > deadline:
            return [f"{len(left)} processes of nodes that ended live on: {left[:5]}"]
        await asyncio.sleep(0.1)
    return []
