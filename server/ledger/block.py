"""Blocks: the header that replicas agree on, its id, and the entries that a block adds to the log.

A batch is a list of items (record or derived entry, as bytes); an entry is an item with its place and outcome.
DESIGN.md 2.4 gives the bytes. It must not know what an item means.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec

from server.ledger.merkle import root_of
from server.record.canonical import b64u_encode, encode

ACCEPTED = "accepted"
"""The outcome of a record that took effect; every other outcome is a refusal's code."""
LEAF_KIND = "block.leaf"


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What replicas vote on. Digests in base64url; `time_ms` set by the proposer; nothing depends on the view."""

    entries_bytes: int
    entries_root: str
    epoch: int
    height: int
    prev: str
    proposer: str
    rules: int
    state_digest_prev: str
    time_ms: int


class Derived(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A derived entry as it stands in a batch: not signed, recomputed by every replica (decisions 4)."""

    body: dict[str, Any]
    due_ms: int
    key: str
    kind: str


def block_id(cluster_id: bytes, header: Header) -> str:
    """b64u(SHA-256("linli/block/v1\\n" || cluster_id || "\\n" || canonical header))."""
    return b64u_encode(sha256(b"linli/block/v1\n" + cluster_id + b"\n" + encode(header)).digest())


def entries_root(items: Sequence[bytes]) -> str:
    """RFC 6962 root over the items of a batch, in base64url."""
    return b64u_encode(root_of(items))


def genesis_tip(cluster_id: bytes) -> str:
    """The `prev` of the first block."""
    return b64u_encode(cluster_id)


def genesis_digest(cluster_id: bytes) -> str:
    """The `state_digest_prev` of the first block."""
    return b64u_encode(sha256(b"linli/state/v1\n" + cluster_id).digest())


def derived_id(cluster_id: bytes, kind: str, key: str, due_ms: int) -> str:
    """Id of a derived entry (decisions 4)."""
    content = encode({"due_ms": due_ms, "key": key, "kind": kind})
    return b64u_encode(sha256(b"linli/system\n" + cluster_id + content).digest())


def record_entry(height: int, index: int, time_ms: int, record: str, outcome: str) -> bytes:
    """The log entry of a client record: its bytes verbatim, its place, and what became of it."""
    return encode({"height": height, "index": index, "outcome": outcome, "record": record, "time_ms": time_ms})


def derived_entry(cluster_id: bytes, height: int, index: int, time_ms: int, item: Derived, outcome: str) -> bytes:
    """The log entry of a derived entry."""
    system = {
        "body": item.body,
        "due_ms": item.due_ms,
        "id": derived_id(cluster_id, item.kind, item.key, item.due_ms),
        "key": item.key,
        "kind": item.kind,
    }
    return encode({"height": height, "index": index, "outcome": outcome, "system": system, "time_ms": time_ms})


def leaf_entry(cluster_id: bytes, header: Header, index: int, state_digest: str) -> bytes:
    """The last entry of a block: the tree alone commits to everything (decisions 5)."""
    body = {
        "block_id": block_id(cluster_id, header),
        "entries_root": header.entries_root,
        "epoch": header.epoch,
        "prev": header.prev,
        "proposer": header.proposer,
        "rules": header.rules,
        "state_digest": state_digest,
    }
    item = Derived(body, 0, str(header.height), LEAF_KIND)
    return derived_entry(cluster_id, header.height, index, header.time_ms, item, ACCEPTED)


def next_digest(previous: str, outcomes: Sequence[str], changed: Sequence[bytes]) -> str:
    """The chained state digest: H(previous || outcomes root || root of the changed rows in order)."""
    outcomes_root = root_of([outcome.encode() for outcome in outcomes])
    rows_root = root_of(changed)
    return b64u_encode(sha256(previous.encode() + outcomes_root + rows_root).digest())
