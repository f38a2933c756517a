"""What the databases of stopped nodes say: whether all hold the same ledger, with every acknowledged record once.

Reads the nodes' SQLite files after their end, recomputes roots, and executes the whole ledger anew. It believes nothing
that a node has answered.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cluster import Cluster, NodePlace
from server.ledger.genesis import estate_of, parse_genesis
from server.ledger.merkle import root_of
from server.ledger.policy import parse_policy
from server.ledger.receipt import ReceiptError, verify_receipt
from server.node.keyring import read_keys
from server.storage.database import Database
from server.storage.ledger import Ledger
from server.storage.replay import ReplayDiffers, replay_into, row_differences
from server.storage.vault import Vault

SHOWN_MAX = 5
_BLOCKS = "SELECT height, block_id, size, root, state_digest, time_ms FROM block ORDER BY height"
_ENTRIES = 'SELECT "index", height, record, kind, author, outcome, content FROM entry ORDER BY "index"'
BUG_WORDS = ("Traceback", "replica_stopped", "node_failed", "background_failed")
"""Words of a log that a crash from outside never explains."""


class Promise(Protocol):
    """What a client was told of a record: `scripts/ballot_load.py` keeps them."""

    @property
    def id(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def outcome(self) -> str: ...
    @property
    def receipt(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Remains:
    """One node's ledger as it lies in its database."""

    node: str
    blocks: list[tuple[Any, ...]]
    entries: list[tuple[Any, ...]]

    @property
    def size(self) -> int:
        """Entries of the log, as the last block says."""
        return int(self.blocks[-1][2])


def read_remains(node: NodePlace) -> Remains:
    """Blocks and entries of a stopped node."""
    with closing(sqlite3.connect(f"file:{node.folder / 'data' / 'node.db'}?mode=ro", uri=True)) as database:
        return Remains(node.id, database.execute(_BLOCKS).fetchall(), database.execute(_ENTRIES).fetchall())


def compare_ledgers(remains: Sequence[Remains]) -> Iterator[str]:
    """Faults between the ledgers: lengths, blocks, entries, roots."""
    first = remains[0]
    for other in remains[1:]:
        for name, left, right in (("block", first.blocks, other.blocks), ("entry", first.entries, other.entries)):
            if len(left) != len(right):
                yield f"{first.node} ends after {name} {len(left) - 1}, {other.node} after {len(right) - 1}"
            differing = [one[0] for one, two in zip(left, right, strict=False) if one != two]
            if differing:
                yield f"{first.node} and {other.node} differ at {name} {differing[:SHOWN_MAX]}"
    for one in remains:
        if root_of([entry[6] for entry in one.entries]) != one.blocks[-1][3] or len(one.entries) != one.size:
            yield f"the root of {one.node}'s {len(one.entries)} entries is not the one it stored for {one.size}"


def find_broken_promises(remains: Remains, promises: Sequence[Promise]) -> Iterator[str]:
    """Records that were acknowledged and are not in this ledger once, at their index, with their outcome."""
    times = Counter(entry[2] for entry in remains.entries)
    twice = [record for record, count in times.items() if count > 1]
    if twice:
        yield f"{len(twice)} ids stand more than once in {remains.node}'s ledger: {twice[:SHOWN_MAX]}"
    places: Mapping[str, tuple[int, str]] = {entry[2]: (entry[0], entry[5]) for entry in remains.entries}
    lost = [promise.id for promise in promises if promise.id not in places]
    if lost:
        yield f"{len(lost)} acknowledged records are not in {remains.node}'s ledger: {lost[:SHOWN_MAX]}"
    moved = [one.id for one in promises if places.get(one.id, (one.index, one.outcome)) != (one.index, one.outcome)]
    if moved:
        yield f"{len(moved)} records of {remains.node} stand otherwise than they were answered: {moved[:SHOWN_MAX]}"


def find_bad_receipts(data: Path, promises: Sequence[Promise]) -> Iterator[str]:
    """Receipts among the promises that do not verify against the policy of the genesis."""
    policy = parse_policy((data / "policy.txt").read_text("utf-8"))
    estate = estate_of(*parse_genesis((data / "genesis.json").read_bytes()))
    for promise in promises:
        if not promise.receipt:
            continue
        try:
            if not verify_receipt(promise.receipt, policy, estate).owner_checked:
                yield f"the receipt of {promise.id} does not prove its owner"
        except ReceiptError as error:
            yield f"the receipt of {promise.id} is rejected: {error}"


async def replay_all(cluster: Cluster) -> list[str]:
    """Execute the first node's ledger from nothing, and compare the rows of every node with what comes out."""
    genesis, cluster_id = parse_genesis((cluster.data / "genesis.json").read_bytes())
    faults: list[str] = []
    first = cluster.nodes[0]
    vault = Vault(read_keys(first.folder, genesis, first.id).vault)
    with tempfile.TemporaryDirectory(prefix="linli-replay-") as folder:
        async with await Database.open(f"sqlite://{folder}/replay.db") as empty:
            target = await Ledger.open(empty, genesis, cluster_id, vault)
            async with await _open(first) as database:
                source = await Ledger.open(database, genesis, cluster_id, vault)
                try:
                    await replay_into(source, target, genesis, cluster_id)
                except ReplayDiffers as error:
                    faults.append(f"replay of {first.id}: {error}")
            for node in cluster.nodes:
                async with await _open(node) as database:
                    differing = await row_differences(empty, database)
                if differing:
                    faults.append(f"{len(differing)} rows of {node.id} replay otherwise: {differing[:SHOWN_MAX]}")
    return faults


async def _open(node: NodePlace) -> Database:
    return await Database.open(f"sqlite://{node.folder / 'data' / 'node.db'}")


def find_bugs(nodes: Sequence[NodePlace]) -> Iterator[str]:
    """Lines of the logs that a kill -9 does not explain."""
    for node in nodes:
        lines = node.log.read_text("utf-8", "replace").splitlines()
        telling = [line for line in lines if any(word in line for word in BUG_WORDS)]
        if telling:
            yield f"{node.log} has {len(telling)} lines like: {telling[0][:300]}"


async def examine(cluster: Cluster, promises: Sequence[Promise]) -> list[str]:
    """Every fault of a stopped cluster; empty when all that was promised holds."""
    remains = [read_remains(node) for node in cluster.nodes]
    faults = list(compare_ledgers(remains))
    for one in remains:
        faults.extend(find_broken_promises(one, promises))
    faults.extend(find_bad_receipts(cluster.data, promises))
    faults.extend(find_bugs(cluster.nodes))
    return faults + await replay_all(cluster)
