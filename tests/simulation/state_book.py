"""The roots of states, hashed anew by whoever reads the log: rows, chunks and manifest by simple means of its own."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

import msgspec

from server.consensus.block import Block
from server.ledger.block import Header
from tests.simulation.entries import Tables

EVERY, LAG, CHUNK_BYTES = 2, 1, 262_144


class StateBook:
    """Mutable. Told of every block before its rows are known, and of the rows after it."""

    def __init__(self) -> None:
        self._kept: dict[int, dict[str, Any]] = {}
        """The bodies that entries must have, by the height of their state."""

    def complaints(self, block: Block) -> list[str]:
        """Does the block tell the state root that it must tell, and no other?"""
        items = [json.loads(item) for item in block.items if item.startswith(b"{")]
        found = [(item["key"], item["body"]) for item in items if item["kind"] == "state.root"]
        taken = block.height - LAG
        wanted = [(str(taken), self._kept[taken])] if taken in self._kept else []
        return [] if found == wanted else [f"block {block.height} tells the states {found}, the books say {wanted}"]

    def keep(self, block: Block, tables: Tables, end: tuple[int, bytes, str]) -> None:
        """After the block: `end` is the log's size and root, and the state digest."""
        if block.height % EVERY == 0:
            self._kept[block.height] = _body(block, tables, end)


def _body(block: Block, tables: Tables, end: tuple[int, bytes, str]) -> dict[str, Any]:
    size, root, digest = end
    lines = _lines(block.header, tables)
    content = {
        "block_id": block.block_id,
        "chunks": [_b64u(sha256(chunk).digest()) for chunk in _chunks(lines)],
        "height": block.height,
        "root": _b64u(root),
        "rows": len(lines),
        "rules": block.header.rules,
        "size": size,
        "state_digest": digest,
        "time_ms": block.header.time_ms,
    }
    hashed = sha256(b"linli/state-root/v1\n" + _canonical(content)).digest()
    return {"height": block.height, "root": _b64u(hashed), "rows": len(lines)}


def _lines(header: Header, tables: Tables) -> list[bytes]:
    found = [(table, name, msgspec.to_builtins(row)) for table, rows in tables.items() for name, row in rows.items()]
    living = [one for one in found if one[2].get("forget_ms", header.time_ms + 1) > header.time_ms]
    if header.rules > 1:  # the later release hashes the movements of points without their reasons
        for _, _, row in (one for one in living if one[0] == "transfer"):
            del row["reason"]
    return [_canonical(list(one)) + b"\n" for one in sorted(living, key=lambda one: one[:2])]


def _chunks(lines: list[bytes]) -> list[bytes]:
    chunks = [b""]
    for line in lines:
        chunks[-1] += line
        if len(chunks[-1]) >= CHUNK_BYTES:
            chunks.append(b"")
    return [chunk for chunk in chunks if chunk]


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _b64u(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
