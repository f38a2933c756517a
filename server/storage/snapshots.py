"""The newest state as files: hashed beside the node's work, cut into chunks, named by a manifest (DESIGN.md D25).

The rows are read a page at a time. What changes meanwhile leaves its earlier line in `row_before`, in the transaction
of its block, so that the state comes out as it was after its block, also when the node ends and begins anew in between.
It must not know what orders blocks; a snapshot is written whole or not at all.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path

from server.domain import RULEBOOK
from server.domain.rules import Rulebook, Rules
from server.domain.state_root import After, Manifest, is_forgotten, make_manifest
from server.ledger.block import Derived
from server.limits import SNAPSHOT_CHUNK_BYTES
from server.record.canonical import Malformed, b64u_encode, decode, encode
from server.storage.journal import replace_file
from server.storage.ledger import Ledger
from server.storage.rows import read_lines
from server.storage.tables import ROW_TABLES

PAGE_ROWS = 500
"""Rows read at once: some 5 ms, after which blocks have their turn."""
MANIFEST = "manifest.json"
_PART = ".part"


@dataclass(slots=True)
class _Cutter:
    """Mutable. `cut_chunks` for lines that come a page at a time."""

    lines: list[bytes] = field(default_factory=list)
    size: int = 0
    rows: int = 0

    def take(self, lines: list[bytes]) -> Iterator[bytes]:
        """The chunks that these lines complete."""
        for line in lines:
            self.lines.append(line)
            self.size += len(line) + 1
            self.rows += 1
            if self.size >= SNAPSHOT_CHUNK_BYTES:
                yield self.rest()

    def rest(self) -> bytes:
        """What is held, as a chunk."""
        chunk = b"\n".join((*self.lines, b"")) if self.lines else b""
        self.lines, self.size = [], 0
        return chunk


class Snapshots:
    """Mutable. Hashes the states that the log tells, and keeps the newest of them in `folder`."""

    def __init__(self, ledger: Ledger, folder: Path, rulebook: Rulebook = RULEBOOK) -> None:
        self._ledger, self._folder, self._rulebook = ledger, folder, rulebook
        self._schedule = ledger.rows.schedule
        self._running: tuple[int, asyncio.Task[Manifest]] | None = None

    async def begin(self) -> None:
        """Call it at the start and after each stored block: begins to hash a state, or lets go of older snapshots."""
        height = self._ledger.tip.height
        taken = self._schedule.hashing_after(height)
        if taken is not None and (self._running is None or self._running[0] != taken):
            await self.close()
            self._running = taken, asyncio.create_task(self._take(taken), name="snapshot")
        elif (told := self._schedule.told_at(height)) is not None:
            await asyncio.to_thread(self._keep_only, told)

    async def told(self, height: int) -> Derived | None:
        """The state root that block `height` must tell, waited for; None for a block that tells none.

        Only the block after the stored tip is answered for. Raises what failed while hashing (disk, database).
        """
        taken = self._schedule.told_at(height)
        if taken is None:
            return None
        assert self._running is not None and self._running[0] == taken, "the state is hashed from its block on"
        return (await asyncio.shield(self._running[1])).item()

    def heights(self) -> list[int]:
        """The heights of the states that lie here whole, the newest first."""
        names = [path.name for path in self._folder.iterdir()] if self._folder.exists() else []
        return sorted((int(name) for name in names if name.isdecimal()), reverse=True)

    async def read_manifest(self, height: int) -> bytes:
        """The manifest of a state that lies here. Raises OSError when it has gone meanwhile."""
        return await asyncio.to_thread((self._folder / str(height) / MANIFEST).read_bytes)

    async def read_chunk(self, height: int, number: int) -> bytes:
        """A chunk of a state, as it lies here: whoever gets it checks its hash. Raises OSError when it is not there."""
        return await asyncio.to_thread((self._folder / str(height) / chunk_name(number)).read_bytes)

    async def close(self) -> None:
        """Stop hashing. What is half done is begun anew at the next start."""
        if self._running is not None:
            task = self._running[1]
            task.cancel()
            await asyncio.wait((task,))
            self._running = None

    async def _take(self, height: int) -> Manifest:
        after = await self._after(height)
        part = self._folder / f"{height}{_PART}"
        await asyncio.to_thread(_make_empty, part)
        cutter, hashes = _Cutter(), list[bytes]()
        async for lines in self._pages(after.time_ms, self._rulebook.find(after.rules)):
            for chunk in cutter.take(lines):
                hashes.append(await asyncio.to_thread(_write_chunk, part, len(hashes), chunk))
        if cutter.lines:
            hashes.append(await asyncio.to_thread(_write_chunk, part, len(hashes), cutter.rest()))
        manifest = make_manifest(after, hashes, cutter.rows)
        await asyncio.to_thread(_finish, part, self._folder / str(height), encode(manifest))
        return manifest

    async def _after(self, height: int) -> After:
        block = await self._ledger.block(height)
        assert block is not None, "a state is hashed from its block on"
        header = block.header
        return After(height, block.block_id, block.size, block.root, block.state_digest, header.time_ms, header.rules)

    async def _pages(self, time_ms: int, rules: Rules) -> AsyncIterator[list[bytes]]:
        """The lines of the state, a page at a time, in the order of (table, id), in the form of its block's version."""
        for table in sorted(ROW_TABLES):
            forgets, last = ROW_TABLES[table].forgets, ""
            while True:
                page = partial(read_lines, table=table, after=last, limit=PAGE_ROWS)
                lines, next_ = await self._ledger.database.read(page)
                kept = [line for line in lines if not (forgets and is_forgotten(line, time_ms))]
                yield [rules.line_of(line) for line in kept] if table in rules.forms else kept
                if next_ is None:
                    break
                last = next_

    def _keep_only(self, height: int) -> None:
        for path in self._folder.iterdir() if self._folder.exists() else ():
            if path.name != str(height):
                shutil.rmtree(path)


def find_difference(folder: Path, manifest: Manifest) -> str | None:
    """Where the snapshot of this state on disk first says something else, for people; None where it is the same, or
    where there is no whole snapshot of it. `folder` holds the snapshots. Raises OSError."""
    place = folder / str(manifest.height)
    if not place.is_dir():
        return None
    for number, wanted in enumerate(manifest.chunks):
        path = place / chunk_name(number)
        chunk = path.read_bytes() if path.exists() else b""
        if b64u_encode(sha256(chunk).digest()) != wanted:
            rows = chunk.splitlines()
            between = f", of the rows {_name_of(rows[0])} to {_name_of(rows[-1])}," if rows else ""
            return f"chunk {number} of the snapshot of block {manifest.height}{between} is another one"
    if (place / MANIFEST).read_bytes() != encode(manifest):
        return f"the manifest of the snapshot of block {manifest.height} is another one"
    return None


def chunk_name(number: int) -> str:
    """The file of a chunk."""
    return f"{number:05d}.chunk"


def _name_of(line: bytes) -> str:
    """`<table>/<id>` of a row's line; as it stands where it is none."""
    try:
        table, id_, _ = decode(line)
    except (Malformed, ValueError, TypeError):
        return repr(line[:40])
    return f"{table}/{id_}"


def _make_empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)


def _write_chunk(folder: Path, place: int, chunk: bytes) -> bytes:
    """Returns the chunk's hash."""
    replace_file(folder / chunk_name(place), chunk)
    return sha256(chunk).digest()


def _finish(part: Path, folder: Path, manifest: bytes) -> None:
    """The manifest last, then the name: a folder with the name of a height is whole."""
    replace_file(part / MANIFEST, manifest)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    descriptor = os.open(folder.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
