"""A copied machine: a second living process of one member, behind the lines of a rehearsal."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from cluster import PEER_PORTS_ABOVE, NodePlace, find_port_base
from drills.fault_proxy import FaultProxy
from drills.fragile_cluster import FragileCluster
from drills.rehearsal import COPY, ProxiedLines, Rehearsal, write_layout
from server.ledger.genesis import estate_of, parse_genesis
from server.ledger.policy import parse_policy
from server.ledger.receipt import verify_receipt

NOWHERE = ("127.0.0.1", 1)
"""An address where nobody listens."""


def proxy_of(stage: Rehearsal) -> FaultProxy:
    """The lines between the nodes, to be cut and led elsewhere."""
    assert isinstance(stage.lines, ProxiedLines), "a copy is reached through a proxy"
    return stage.lines.proxy


async def find_stopped(stage: Rehearsal, copy: NodePlace) -> list[str]:
    """The nodes that say that they have stopped."""
    said = [(node, (await stage.ask(node, "/readyz"))[1]) for node in (*stage.cluster.nodes, copy)]
    return [stage.name(node) for node, answer in said if str(answer.get("reason", "")).startswith("stopped")]


def is_fork(stage: Rehearsal, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Do two receipts verify, and contradict each other?"""
    if not one.get("receipt") or not other.get("receipt"):
        return False
    data = stage.cluster.data
    policy = parse_policy((data / "policy.txt").read_text("utf-8"))
    genesis, cluster_id = parse_genesis((data / "genesis.json").read_bytes())
    for answer in (one, other):
        verify_receipt(answer["receipt"], policy, estate_of(genesis, cluster_id))
    return bool(one["index"] == other["index"] and one["id"] != other["id"])


@asynccontextmanager
async def copy_of(stage: Rehearsal, node: NodePlace) -> AsyncIterator[tuple[FragileCluster, NodePlace]]:
    """A snapshot of a node's folder as a cluster of one, on ports of its own; stopped at the end."""
    root, port = stage.cluster.data / COPY, find_port_base(1)
    copy = NodePlace(node.id, root / node.id, port, port + PEER_PORTS_ABOVE)
    os.kill(node.pid, signal.SIGSTOP)  # a machine's snapshot is of one moment
    shutil.copytree(node.folder, copy.folder, ignore=shutil.ignore_patterns("node.log", "node.pid", "affliction"))
    os.kill(node.pid, signal.SIGCONT)
    for name in ("genesis.json", "policy.txt"):
        shutil.copy(stage.cluster.data / name, root / name)
    config = copy.config.read_text("utf-8")
    for old, new in ((node.port, copy.port), (node.peer_port, copy.peer_port)):
        config = config.replace(f"port = {old}\n", f"port = {new}\n", 1)
    copy.config.write_text(config, "utf-8")
    write_layout(root, [copy])
    copies = FragileCluster(root, proxy_of(stage), names={node.id: COPY})
    try:
        yield copies, copies.nodes[0]
    finally:
        await asyncio.to_thread(copies.stop_all)
