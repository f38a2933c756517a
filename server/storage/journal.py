"""The journal: what a replica wrote before it sent. An append-only file, one writer, synced before anything follows.

The file begins with a line that names it and `u64 first lsn, u32 length of the part written with the file, u32 crc32`.
Then records, `u32 length, u32 crc32, u64 lsn, payload`, big-endian; the checksum (zlib's CRC-32) covers lsn and
payload, the length counts them. The payload is the entries of one append, each `u8 type, u32 length, bytes`: one append
is one write, whole or torn.

A torn last record is dropped: its sync never returned, so nothing that depended on it was sent. (A last record that
was synced and rotted since looks the same; disks that rot need a file system that tells.) Anything else that does not
read is JournalCorrupt: the replica may have voted what it no longer knows, and must not sign again with its key.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from struct import Struct

from server.consensus.effects import Entry, JournalEntry

_HEAD = Struct(">II")
_LSN = Struct(">Q")
_ENTRY = Struct(">BI")
_START = Struct(">QI")
_CHECKSUM = Struct(">I")
MAGIC = b"linli journal 1\n"
RECORD_BYTES_MAX = 16 * 1024 * 1024
"""A vote holds a block and its small attachments, at most one frame; a truncation keeps a handful of them."""
_CORRUPT = (
    "the journal {path} cannot be read: {what}. This node may have voted what it no longer knows. It must not vote or "
    "cosign with its present keys: start it as an observer, or give it a new key epoch."
)


class JournalCorrupt(Exception):
    """The journal is damaged, or is gone although the ledger says it must be there. The node must not start."""


def encode_record(lsn: int, entries: Sequence[JournalEntry]) -> bytes:
    """The bytes of one append."""
    payload = b"".join([_ENTRY.pack(entry.type, len(entry.data)) + entry.data for entry in entries])
    covered = _LSN.pack(lsn) + payload
    if len(covered) > RECORD_BYTES_MAX:
        raise ValueError("too much for one journal record")
    return _HEAD.pack(len(covered), zlib.crc32(covered)) + covered


def encode_file(lsn: int, entries: Sequence[JournalEntry]) -> bytes:
    """The bytes of a new file whose first record, if there are entries, has this number."""
    record = encode_record(lsn, entries) if entries else b""
    start = _START.pack(lsn, len(record))
    return MAGIC + start + _CHECKSUM.pack(zlib.crc32(start)) + record


def scan(data: bytes, path: str = "journal") -> tuple[list[JournalEntry], int, int]:
    """Read a journal's bytes: (entries in order, next lsn, length of the good part). Raises JournalCorrupt.

    Only the last record may be torn, and none that was written with the file. A record that does not read, with a
    readable one behind it, is damage.
    """
    lsn, position, whole = _read_start(data, path)
    entries: list[JournalEntry] = []
    while position < len(data):
        found = _read_record(data, position)
        if found is None:
            break
        end, number, payload = found
        if number != lsn:
            raise JournalCorrupt(_CORRUPT.format(path=path, what=f"record {lsn} is missing before {number}"))
        entries.extend(_read_entries(payload, path))
        position, lsn = end, number + 1
    if position < whole or (position < len(data) and _has_record_after(data, position, lsn)):
        raise JournalCorrupt(_CORRUPT.format(path=path, what=f"record {lsn} is damaged"))
    return entries, lsn, position


def _read_start(data: bytes, path: str) -> tuple[int, int, int]:
    """(first lsn, where records begin, length that was written with the file)."""
    begin = len(MAGIC) + _START.size + _CHECKSUM.size
    if len(data) < begin or not data.startswith(MAGIC):
        raise JournalCorrupt(_CORRUPT.format(path=path, what="it does not begin like a journal"))
    start = data[len(MAGIC) : len(MAGIC) + _START.size]
    if _CHECKSUM.unpack_from(data, len(MAGIC) + _START.size)[0] != zlib.crc32(start):
        raise JournalCorrupt(_CORRUPT.format(path=path, what="its beginning is damaged"))
    lsn, length = _START.unpack(start)
    return lsn, begin, begin + length


def _read_record(data: bytes, position: int) -> tuple[int, int, bytes] | None:
    """(end, lsn, payload) of the record at `position`, or None when it is not whole."""
    start = position + _HEAD.size
    if start + _LSN.size > len(data):
        return None
    length, checksum = _HEAD.unpack_from(data, position)
    end = start + length
    if not _LSN.size <= length <= RECORD_BYTES_MAX or end > len(data):
        return None
    covered = data[start:end]
    if zlib.crc32(covered) != checksum:
        return None
    return end, _LSN.unpack_from(covered)[0], covered[_LSN.size :]


def _has_record_after(data: bytes, position: int, lsn: int) -> bool:
    """Whether a whole record with a later number stands anywhere behind `position`."""
    for number in range(lsn + 1, lsn + 65):
        wanted = _LSN.pack(number)
        found = data.find(wanted, position)
        while found >= 0:
            if found >= _HEAD.size and _read_record(data, found - _HEAD.size) is not None:
                return True
            found = data.find(wanted, found + 1)
    return False


def _read_entries(payload: bytes, path: str) -> Iterator[JournalEntry]:
    position = 0
    while position < len(payload):
        if position + _ENTRY.size > len(payload):
            raise JournalCorrupt(_CORRUPT.format(path=path, what="an entry is cut short"))
        kind, length = _ENTRY.unpack_from(payload, position)
        start = position + _ENTRY.size
        position = start + length
        if position > len(payload) or kind not in Entry.__members__.values():
            raise JournalCorrupt(_CORRUPT.format(path=path, what="an entry is of no known type, or is cut short"))
        yield JournalEntry(Entry(kind), payload[start:position])


class Journal:
    """Mutable. The open journal of one node; a second opener is refused."""

    def __init__(self, path: Path, descriptor: int, entries: Sequence[JournalEntry], next_lsn: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._lsn = next_lsn
        self.entries = tuple(entries)
        """What the journal held when it was opened, in the order written."""

    @classmethod
    def open(cls, path: Path, expected: bool) -> Journal:
        """Open the journal, or make it. `expected`: the ledger is not empty, so the journal must be there.

        Raises JournalCorrupt when it is damaged or missing; BlockingIOError when another process holds it.
        """
        if not path.exists():
            if expected:
                raise JournalCorrupt(_CORRUPT.format(path=path, what="the file is missing"))
            replace_file(path, encode_file(0, ()))
        descriptor = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            data = path.read_bytes()
            entries, next_lsn, good = scan(data, str(path))
            if good < len(data):
                os.ftruncate(descriptor, good)
                os.fsync(descriptor)
            os.lseek(descriptor, good, os.SEEK_SET)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, entries, next_lsn)

    @staticmethod
    def begin_anew(path: Path) -> None:
        """Put an empty journal in the place of the one that is there: for new keys, which have voted for nothing."""
        replace_file(path, encode_file(0, ()))

    def append(self, entries: Sequence[JournalEntry]) -> None:
        """Append entries as one record and make them durable. An OSError leaves the end undefined: stop the node."""
        _write_all(self._descriptor, encode_record(self._lsn, entries))
        os.fdatasync(self._descriptor)
        self._lsn += 1

    def rewrite(self, entries: Sequence[JournalEntry]) -> None:
        """Replace everything by these entries: a new file, synced, renamed over the old one."""
        descriptor = replace_file(self._path, encode_file(self._lsn, entries), keep_open=True)
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._lsn += bool(entries)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


def replace_file(path: Path, content: bytes, keep_open: bool = False) -> int:
    """Give a file this content, durably: it holds the old content or the new one, whole, whenever the power fails.

    Returns the open file, locked and at its end, when `keep_open`; else -1.
    """
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _write_all(descriptor, content)
        os.fsync(descriptor)
        temporary.replace(path)
        _sync_directory(path.parent)
    except BaseException:
        os.close(descriptor)
        raise
    if keep_open:
        return descriptor
    os.close(descriptor)
    return -1


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
