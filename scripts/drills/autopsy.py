"""What the databases of stopped nodes say: whether all hold the same ledger, with every acknowledged record once.

Reads the nodes' files after their end: compares logs, recomputes roots, looks for every photo, executes the whole
ledger anew, and gives the log to the independent verifier (`verify.py`: chain, seals, signatures, books of points). It
believes nothing that a node has answered.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from cluster import Cluster, NodePlace
from server.domain import RULEBOOK
from server.domain.rules import Rulebook
from server.ledger.checkpoint import Checkpoint, log_line, note_of
from server.ledger.genesis import estate_of, parse_genesis
from server.ledger.merkle import root_of
from server.ledger.policy import Grade, parse_policy, verify_checkpoint
from server.ledger.receipt import ReceiptError, verify_receipt
from server.node.keyring import read_keys
from server.record.canonical import b64u_decode
from server.record.envelope import parse_record
from server.storage.database import Database
from server.storage.ledger import Ledger
from server.storage.replay import ReplayDiffers, replay_into, row_differences
from server.storage.vault import Vault

SHOWN_MAX = 5
_BLOCKS = "SELECT height, block_id, size, root, state_digest, time_ms FROM block ORDER BY height"
_ENTRIES = 'SELECT "index", height, record, kind, author, outcome, content FROM entry ORDER BY "index"'
_COSIGNATURES = "SELECT size, member, root, line FROM cosignature ORDER BY size, member"
BUG_WORDS = ("Traceback", "replica_stopped", "node_failed", "background_failed", "member_contradicts_itself")
"""Words of a log that a crash from outside never explains. In a drill without a copy nobody contradicts himself."""
OWN_LINES = ("timestamp=", "server: ")
"""How the lines of a node's program begin."""
VERIFIER = Path(__file__).resolve().parents[1] / "verify.py"
VERIFIED = {
    "quorum",
    "entries",
    "tree",
    "chain",
    "time",
    "once",
    "seals",
    "finals",
    "signatures",
    "owners",
    "books",
    "rules",
}
"""What the independent verifier must have checked: the choices behind ballots are not in a log."""
SIGNATURES_CHECKED = 60
"""The independent verifier computes elliptic curves in plain Python: a sample of each sort of signature."""
Excuses = Mapping[str, tuple[str, ...]]
"""By node, what a line of its log may name as the reason of a failure: a disk that a drill filled."""


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
    cosignatures: list[tuple[int, str, str, str]]

    @property
    def size(self) -> int:
        """Entries of the log, as the last block says."""
        return int(self.blocks[-1][2])


def read_remains(node: NodePlace) -> Remains:
    """Blocks and entries of a stopped node."""
    with closing(sqlite3.connect(f"file:{node.folder / 'data' / 'node.db'}?mode=ro", uri=True)) as database:
        blocks, entries = database.execute(_BLOCKS).fetchall(), database.execute(_ENTRIES).fetchall()
        return Remains(node.id, blocks, entries, database.execute(_COSIGNATURES).fetchall())


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


async def replay_all(cluster: Cluster, rulebook: Rulebook = RULEBOOK) -> list[str]:
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
                    await replay_into(source, target, genesis, cluster_id, rulebook)
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


def find_lost_photos(data: Path, remains: Sequence[Remains], nodes: Sequence[NodePlace]) -> Iterator[str]:
    """Pictures that ordered records name and that do not lie whole on every node's disk."""
    estate = estate_of(*parse_genesis((data / "genesis.json").read_bytes()))
    named = set()
    for entry in remains[0].entries:
        if entry[4]:
            body = parse_record(json.loads(entry[6])["record"], estate).payload.body
            named |= {photo["sha256"] for photo in body.get("photos", ())}
    for node in nodes:
        lost = [name for name in sorted(named) if not _has_photo(node.folder / "data" / "photos", name)]
        if lost:
            yield f"{len(lost)} of {len(named)} photos are not whole at {node.id}: {lost[:SHOWN_MAX]}"


def _has_photo(folder: Path, name: str) -> bool:
    try:
        return sha256((folder / name[:2] / name[2:4] / f"{name}.jpg").read_bytes()).hexdigest() == name
    except FileNotFoundError:
        return False


def find_unsealed(cluster: Cluster, remains: Sequence[Remains]) -> Iterator[str]:
    """Nodes whose files do not hold the signatures of all members under the end of the log."""
    policy = parse_policy((cluster.data / "policy.txt").read_text("utf-8"))
    for one in remains:
        try:
            if verify_checkpoint(_sealed_note(cluster, one), policy).grade is not Grade.SEALED:
                yield f"{one.node}: the signatures under the end of the log are not those of all members"
        except ValueError as error:
            yield f"{one.node}: {error}"


def verify_log(cluster: Cluster, remains: Remains, wanted: AbstractSet[str] = VERIFIED) -> Iterator[str]:
    """What the independent verifier finds wrong with a node's log under its newest sealed checkpoint.

    `wanted`: what it must have checked.
    """
    with tempfile.TemporaryDirectory(prefix="linli-verify-") as folder:
        _export(cluster, remains, Path(folder))
        command = [sys.executable, str(VERIFIER), "log", folder, "--sample", str(SIGNATURES_CHECKED)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    yield from (f"{remains.node}: verify.py: {line}" for line in lines if line.startswith("FAILED"))
    unchecked = wanted - {line.split()[1] for line in lines if line.startswith(("ok ", "FAILED"))}
    if unchecked:
        yield f"{remains.node}: verify.py did not check {sorted(unchecked)}: {done.stderr or done.stdout}"


def _export(cluster: Cluster, remains: Remains, folder: Path) -> None:
    """Write what `scripts/export.py` would have fetched. Raises ValueError when no seal covers the log."""
    for name in ("genesis.json", "policy.txt"):
        (folder / name).write_bytes((cluster.data / name).read_bytes())
    (folder / "checkpoint").write_text(_sealed_note(cluster, remains), "utf-8")
    (folder / "entries.jsonl").write_bytes(b"\n".join(bytes(entry[6]) for entry in remains.entries) + b"\n")


def _sealed_note(cluster: Cluster, remains: Remains) -> str:
    genesis, _ = parse_genesis((cluster.data / "genesis.json").read_bytes())
    lines = [(root, line) for size, _, root, line in remains.cosignatures if size == remains.size]
    if len(lines) < len(genesis.members):
        raise ValueError(f"only {len(lines)} members have signed the end of the log, at size {remains.size}")
    root = b64u_decode(lines[0][0], 32)
    keys = read_keys(cluster.node(remains.node).folder, genesis, remains.node)
    log = log_line(keys.log, genesis.origin, remains.size, root)
    return note_of(Checkpoint(genesis.origin, remains.size, root), [log, *(line for _, line in lines)])


def find_bugs(nodes: Sequence[NodePlace], excuses: Excuses) -> Iterator[str]:
    """Lines of the logs that neither a kill -9 explains nor what befell the node."""
    for node in nodes:
        lines = list(_join_tracebacks(node.log.read_text("utf-8", "replace").splitlines()))
        excused = excuses.get(node.id, ())
        telling = [
            line
            for line in lines
            if any(word in line for word in BUG_WORDS) and not any(word in line for word in excused)
        ]
        if telling:
            yield f"{node.log} has {len(telling)} lines like: {telling[0][:2000]}"


def _join_tracebacks(lines: Sequence[str]) -> Iterator[str]:
    """The lines of a log, with what Python printed by itself between two of them as one line."""
    for is_ours, group in groupby(lines, lambda line: line.startswith(OWN_LINES)):
        together = list(group)
        yield from together if is_ours else [" | ".join(together)]


async def examine(
    cluster: Cluster, promises: Sequence[Promise], excuses: Excuses | None = None, rulebook: Rulebook = RULEBOOK
) -> list[str]:
    """Every fault of a stopped cluster that was sealed before; empty when all that was promised holds.

    `rulebook`: the rules by which the nodes executed last.
    """
    remains = [read_remains(node) for node in cluster.nodes]
    faults = list(compare_ledgers(remains))
    for one in remains:
        faults.extend(find_broken_promises(one, promises))
    faults.extend(find_bad_receipts(cluster.data, promises))
    faults.extend(find_bugs(cluster.nodes, excuses or {}))
    faults.extend(find_lost_photos(cluster.data, remains, cluster.nodes))
    unsealed = list(find_unsealed(cluster, remains))
    if not unsealed:
        # What records do under a version that no release has yet the independent verifier cannot know: replay tells.
        wanted = VERIFIED if rulebook.newest == RULEBOOK.newest else VERIFIED - {"books"}
        faults.extend(await asyncio.to_thread(list, verify_log(cluster, remains[0], wanted)))
    faults.extend(unsealed)
    return faults + await replay_all(cluster, rulebook)
