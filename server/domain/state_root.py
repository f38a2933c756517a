"""The state as bytes: all rows in one order, cut into chunks that a manifest names, whose hash stands in the log.

Every `Schedule.every` blocks the whole state is hashed, and `lag` blocks later a derived entry `state.root` says what
came out (decisions 8, DESIGN.md D25). It must not know where rows are stored, nor when the hashing is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from server.domain.rules import Rules
from server.ledger.block import Derived
from server.limits import SNAPSHOT_CHUNK_BYTES, STATE_ROOT_EVERY, STATE_ROOT_LAG
from server.record.canonical import b64u_encode, decode, encode
from server.record.kind import DerivedKind, Place
from server.record.rows import Key, Row, Rows
from server.record.shape import Digest

FORGET_FIELD = "forget_ms"
"""A row with this field has no meaning once a block's time has reached it (D8): no state holds it from then on."""


class Schedule(msgspec.Struct, frozen=True):
    """At which heights the state is hashed, and how many blocks later the log says so. All nodes use the same."""

    every: int = STATE_ROOT_EVERY
    lag: int = STATE_ROOT_LAG

    def __post_init__(self) -> None:
        if not 0 < self.lag < self.every:
            raise ValueError("a state root is told before the next state is hashed, and after its own block")

    def told_at(self, height: int) -> int | None:
        """The height of the state whose root block `height` must tell; None for a block that tells none."""
        taken = height - self.lag
        return taken if taken > 0 and taken % self.every == 0 else None

    def hashing_after(self, height: int) -> int | None:
        """The height of the state that is being hashed while block `height` is the last one; None between two."""
        taken = height - height % self.every
        return taken if taken > 0 and height < taken + self.lag else None

    def hashing_during(self, height: int) -> int | None:
        """The height of the state that is being hashed while block `height` is stored: rows before it still count."""
        return self.hashing_after(height - 1)


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a state consists of, and after which block it stands. Digests in base64url, `root` and `size` the log's."""

    block_id: Digest
    chunks: tuple[Digest, ...]
    """SHA-256 of each chunk, in order."""
    height: int
    root: Digest
    rows: int
    rules: int
    size: int
    state_digest: Digest
    time_ms: int

    @property
    def hash(self) -> str:
        """b64u(SHA-256("linli/state-root/v1\\n" || canonical manifest))."""
        return b64u_encode(sha256(b"linli/state-root/v1\n" + encode(self)).digest())

    def item(self) -> Derived:
        """The derived entry that tells this state in the log."""
        body = {"height": self.height, "root": self.hash, "rows": self.rows}
        return Derived(body, 0, str(self.height), TellStateRoot.kind)


class After(msgspec.Struct, frozen=True):
    """The block after which a state stands, and the log up to there."""

    height: int
    block_id: str
    size: int
    root: bytes
    state_digest: str
    time_ms: int
    rules: int


class TellStateRoot(DerivedKind, frozen=True):
    """The whole state after block `height` had this root; every node computes it from its own rows before it votes."""

    kind: ClassVar[str] = "state.root"
    timed: ClassVar[bool] = False

    height: Annotated[int, Meta(ge=1)]
    root: Digest
    rows: Annotated[int, Meta(ge=0)]

    def access(self, key_: str) -> tuple[Key, ...]:
        """No row: what it says is about all of them."""
        return ()

    def execute(self, key_: str, rows: Rows, place: Place) -> None:
        """Nothing changes by it."""


def row_line(table: str, row: Row) -> bytes:
    """A row with all its fields: canonical `[table, id, row]`. `Rules.line_of` makes of it what a version hashes."""
    return encode([table, row.id, row])


def is_forgotten(line: bytes, time_ms: int) -> bool:
    """Has a row, given as its line, no meaning any more at this block time?"""
    return FORGET_FIELD.encode() in line and decode(line)[2].get(FORGET_FIELD, time_ms + 1) <= time_ms


def cut_chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks of a state: its lines in the order of (table, id), each ended by a newline, and a chunk ends with the
    line that brings it to SNAPSHOT_CHUNK_BYTES. Every node cuts at the same places."""
    held, size = list[bytes](), 0
    for line in lines:
        held.append(line)
        size += len(line) + 1
        if size >= SNAPSHOT_CHUNK_BYTES:
            yield b"\n".join((*held, b""))
            held, size = [], 0
    if held:
        yield b"\n".join((*held, b""))


def make_manifest(after: After, chunks: Iterable[bytes], rows: int) -> Manifest:
    """The manifest of a state that was cut into these chunk hashes (32 bytes each)."""
    return Manifest(
        block_id=after.block_id,
        chunks=tuple(b64u_encode(chunk) for chunk in chunks),
        height=after.height,
        root=b64u_encode(after.root),
        rows=rows,
        rules=after.rules,
        size=after.size,
        state_digest=after.state_digest,
        time_ms=after.time_ms,
    )


def manifest_of(after: After, rows: Iterable[tuple[str, Row]], rules: Rules) -> Manifest:
    """The manifest of a state in memory: (table, row) in any order; what is forgotten by its time is left out.

    `rules` are those of the block after which it stands.
    """
    assert rules.version == after.rules
    ordered = sorted(rows, key=lambda one: (one[0], one[1].id))
    kept = [row for table, row in ordered if not is_forgotten(row_line(table, row), after.time_ms)]
    lines = [rules.line(row) for row in kept]
    return make_manifest(after, [sha256(chunk).digest() for chunk in cut_chunks(lines)], len(lines))
