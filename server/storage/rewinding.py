"""Taking an abandoned branch of a fork out of the database, after it was written down in a folder of its own (D32).

The branch is exported first, whole, as `scripts/verify.py log` reads it; then one transaction takes its blocks away and
marks the rows as stale, so that the next opening builds them anew from the blocks that remain. Every step may be done
again after a crash. It must not know who decided, nor why.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from server.record.canonical import b64u_encode, decode
from server.storage.journal import Journal, replace_file
from server.storage.ledger import Ledger
from server.storage.ledger_tables import TILE
from server.storage.signer import SignerFile
from server.storage.statements import Connection, change, put_rows
from server.storage.tree import cut_tiles

ENTRIES, BLOCKS = "entries.jsonl", "blocks.jsonl"
"""The log, an entry a line; and what stands beside it: a block a line, with its commit certificate."""
_JOURNAL, _SIGNER, _BEGIN, _REWOUND = "journal", "signer", "abandoned-from", "rewound"
_PAGE = 500


class BranchArchive:
    """The folder of one abandoned branch, and how far its abandoning has come."""

    def __init__(self, data: Path, epoch: int) -> None:
        """`data`: the node's data folder; `epoch`: the one that begins with the resolution."""
        self.folder = data / "abandoned" / str(epoch)
        self._data = data

    @property
    def is_begun(self) -> bool:
        """Whether the branch lies here whole; it may still stand in the database too."""
        return self.folder.exists()

    @property
    def is_done(self) -> bool:
        """Whether nothing of the branch is left in the database, the journal and the signer's file."""
        return (self.folder / _REWOUND).exists()

    async def write(self, ledger: Ledger, begin: int, texts: Mapping[str, bytes]) -> None:
        """Write the log down: `texts` (genesis, policy, links, checkpoint), entries, certificates, journal, signer.

        `begin`: the height from which on it is abandoned.
        """
        part = self.folder.with_suffix(".part")
        await asyncio.to_thread(_make_empty, part)
        for name, content in texts.items():
            await asyncio.to_thread(replace_file, part / name, content)
        await _write_entries(ledger, part / ENTRIES)
        await _write_blocks(ledger, part / BLOCKS)
        await asyncio.to_thread(replace_file, part / _BEGIN, str(begin).encode())
        await asyncio.to_thread(self._take_files, part)

    def _take_files(self, part: Path) -> None:
        for name in (_JOURNAL, _SIGNER):
            if (self._data / name).exists():
                shutil.copyfile(self._data / name, part / name)
        for path in part.iterdir():
            _sync(path)
        _sync(part)
        part.rename(self.folder)
        _sync(self.folder.parent)

    async def rewind(self, ledger: Ledger) -> None:
        """Take the branch out of database and data folder; again after a crash. The rows must be built anew then."""
        fork_height = int(await asyncio.to_thread((self.folder / _BEGIN).read_text, "ascii"))
        base = await ledger.frontier_at(fork_height - 1) if ledger.tip.height >= fork_height else None
        if base is not None:
            await ledger.database.run(lambda connection: _cut(connection, fork_height, base.size))
        await asyncio.to_thread(self._finish, fork_height)

    def _finish(self, fork_height: int) -> None:
        Journal.begin_anew(self._data / _JOURNAL)
        SignerFile.begin_anew(self._data / _SIGNER)
        shutil.rmtree(self._data / "joining", ignore_errors=True)
        for path in (self._data / "snapshots").glob("*"):
            if not path.name.isdecimal() or int(path.name) >= fork_height:
                shutil.rmtree(path, ignore_errors=True)
        replace_file(self.folder / _REWOUND, b"")


def archives_in(data: Path) -> list[BranchArchive]:
    """The archives of a node, oldest first."""
    names = [path.name for path in (data / "abandoned").glob("*")]
    return [BranchArchive(data, epoch) for epoch in sorted(int(name) for name in names if name.isdecimal())]


async def _write_entries(ledger: Ledger, path: Path) -> None:
    with path.open("wb") as file:
        for begin in range(0, ledger.tip.size, _PAGE):
            contents = await ledger.contents(begin, _PAGE)
            lines = [
                msgspec.json.encode({"index": begin + offset, "entry": content.decode()})
                for offset, content in enumerate(contents)
            ]
            await asyncio.to_thread(file.write, b"\n".join((*lines, b"")))


async def _write_blocks(ledger: Ledger, path: Path) -> None:
    height = 1
    with path.open("wb") as file:
        while blocks := await ledger.blocks(height):
            told: Iterable[bytes] = (
                msgspec.json.encode(
                    {
                        "block_id": block.block_id,
                        "certificate": b64u_encode(block.certificate),
                        "height": block.header.height,
                        "view": block.view,
                    }
                )
                for block in blocks
            )
            await asyncio.to_thread(file.write, b"\n".join((*told, b"")))
            height = blocks[-1].header.height + 1


def read_records(folder: Path, begin: int) -> list[str]:
    """The client records (JWS) of an archived branch from index `begin` on, in their order."""
    records = []
    with (folder / ENTRIES).open("rb") as file:
        for line in file:
            told = msgspec.json.decode(line)
            entry = decode(told["entry"].encode())
            if told["index"] >= begin and "record" in entry:
                records.append(str(entry["record"]))
    return records


async def _cut(connection: Connection, fork_height: int, size: int) -> None:
    """One transaction: whole before it or whole after it."""
    await change(connection, 'DELETE FROM "block" WHERE "height" >= ?', fork_height)
    await change(connection, 'DELETE FROM "entry" WHERE "index" >= ?', size)
    await change(connection, 'DELETE FROM "cosignature" WHERE "size" > ?', size)
    kept = await cut_tiles(connection, size)
    await put_rows(connection, TILE, kept)
    await change(connection, 'DELETE FROM "row_before"')
    await change(connection, 'DELETE FROM "derived_table"')


def _make_empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
