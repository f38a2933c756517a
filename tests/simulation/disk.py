"""A disk that forgets what was not synced: a journal (in the real file's bytes), stored blocks, the signer's mark.

`skip` names barriers that a broken driver leaves out; the output-commit oracle must notice (consensus.md 3.3).
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from struct import Struct

from server.consensus.block import Block, read_header
from server.consensus.effects import Entry, JournalEntry, PersistSigner, Store
from server.consensus.evidence import Evidence
from server.consensus.frames import decode_frame
from server.consensus.messages import Commit, NewViewMessage, Prepare, ViewChangeMessage, read_body
from server.consensus.packing import unpack
from server.consensus.restored import Boundary, SignerMark
from server.ledger.block import Header
from server.record.rows import Row
from server.storage.journal import encode_file, encode_record, scan

BARRIERS = ("vote", "prepared", "view_change", "new_view", "signer", "block")
_NAMES = {
    Entry.VOTE: "vote",
    Entry.PREPARED: "prepared",
    Entry.VIEW_CHANGE: "view_change",
    Entry.NEW_VIEW: "new_view",
}


@dataclass(slots=True)
class Durable:
    """Mutable. What the synced journal says, for the oracle: each vote, certificate, VIEW-CHANGE and NEW-VIEW."""

    votes: dict[tuple[int, int], str] = field(default_factory=dict)
    prepared: dict[tuple[int, int], str] = field(default_factory=dict)
    changes: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """By epoch and view."""
    new_views: dict[tuple[int, int], bytes] = field(default_factory=dict)
    headers: dict[str, Header] = field(default_factory=dict)
    """Of the blocks voted for."""
    named: dict[tuple[int, int], tuple[int, str]] = field(default_factory=dict)
    """Base height and block of each NEW-VIEW."""

    def note(self, entry: JournalEntry) -> None:
        """An entry is durable."""
        if entry.type is Entry.VOTE:
            raw, signature, packed = unpack(entry.data, 3)
            vote = read_body(Prepare, raw, signature).body
            self.votes[vote.view, vote.height] = vote.block_id
            self.headers[vote.block_id] = read_header(unpack(packed, 3)[0])
        elif entry.type is Entry.PREPARED:
            commit = read_body(Commit, *unpack(entry.data, 3)[1:]).body
            self.prepared[commit.view, commit.height] = commit.block_id
        else:
            message = decode_frame(entry.data)
            if isinstance(message, ViewChangeMessage):
                change = message.change.body
                self.changes[change.epoch, change.view] = message.change.raw
            elif isinstance(message, NewViewMessage):
                body = message.new_view.body
                self.new_views[body.epoch, body.view] = message.new_view.raw
                self.named[body.epoch, body.view] = (body.base_height, body.block_id)


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block in the ledger's table, with its certificate and the boundary that its execution gave."""

    block: Block
    certificate: bytes
    view: int
    boundary: Boundary
    state_digest: str


class DiskFault(Enum):
    """Why a sync did not succeed."""

    FULL = "the disk is full"
    SYNC = "the disk could not sync"


_RECORD = Struct(">II")
_FIRST_RECORD = len(encode_file(0, ()))


class Disk:
    """Mutable. What survives, and what is on its way."""

    def __init__(self, skip: frozenset[str]) -> None:
        self._skip = skip
        self._lsn = 0
        self._synced = encode_file(0, ())
        self._unsynced = b""
        self._waiting: tuple[JournalEntry, ...] = ()
        self.durable = Durable()
        self.blocks: list[StoredBlock] = []
        self.signer: SignerMark | None = None
        self.evidence: dict[str, Evidence] = {}
        """Verified evidence by id."""
        self.held: dict[str, bytes] = {}
        """Attachments by name."""
        self.had: dict[int, None] = {}
        """Boundaries of blocks that it may have lost since: what was signed of them is only repeated."""
        self.is_rotten = False
        self.shown: bytes | None = None
        """The snapshot that is being fetched to join, as a peer showed it."""
        self.pieces: dict[str, bytes] = {}
        """What has come of it."""
        self.forged: dict[str, dict[str, Row]] | None = None
        """The rows that the peer meant who made it up."""
        self._image: tuple[list[StoredBlock], bytes, Durable, SignerMark | None] | None = None

    def append(self, entries: tuple[JournalEntry, ...]) -> None:
        """Write without syncing."""
        self._waiting = tuple(entry for entry in entries if _NAMES[entry.type] not in self._skip)
        self._unsynced = encode_record(self._lsn, self._waiting) if self._waiting else b""

    def sync(self) -> None:
        """What was written is durable."""
        if self._waiting:
            self._synced += self._unsynced
            self._lsn += 1
            for entry in self._waiting:
                self.durable.note(entry)
        self._unsynced, self._waiting = b"", ()

    def truncate(self, entries: tuple[JournalEntry, ...]) -> None:
        """Replace the journal, atomically."""
        kept = tuple(entry for entry in entries if _NAMES[entry.type] not in self._skip)
        self._synced = encode_file(self._lsn, kept)
        self._lsn += bool(kept)
        self.durable = Durable()
        for entry in kept:
            self.durable.note(entry)

    def store(self, effect: Store, boundary: Boundary, state_digest: str) -> None:
        """Write a block, atomically and durably."""
        if "block" not in self._skip:
            stored = StoredBlock(effect.block, effect.certificate, effect.view, boundary, state_digest)
            self.blocks.append(stored)

    def sign(self, effect: PersistSigner) -> None:
        """Write the signer's file, atomically and durably."""
        if "signer" not in self._skip:
            self.signer = SignerMark(effect.epoch, effect.size, effect.root, effect.time_s)

    def crash(self, random: Random) -> None:
        """Lose what was not synced: all of it, or all but a torn beginning; or nothing, if it got there in time."""
        fate = random.random()
        if self._unsynced and fate < 0.4:
            torn = self._unsynced[: random.randint(1, len(self._unsynced) - 1)]
            self._synced, good = self._synced + torn, len(self._synced)
            assert scan(self._synced)[2] == good
            self._synced = self._synced[:good]
        elif self._unsynced and fate < 0.6:
            self.sync()
        self._unsynced, self._waiting = b"", ()

    def has_stored(self, size: int) -> bool:
        """Whether a block that ends at this size is here, or was."""
        return size in self.had or any(stored.boundary.size == size for stored in reversed(self.blocks))

    def drop(self) -> None:
        """What was on its way found no room."""
        self._unsynced, self._waiting = b"", ()

    # -- what is worse than a crash

    def put_back(self, random: Random) -> None:
        """Put everything back as it was at some earlier crash: ledger, journal and signer's mark."""
        if self._image is not None and random.random() < 0.6:
            blocks, self._synced, durable, self.signer = self._image
            self.blocks, self.durable = list(blocks), deepcopy(durable)
        elif self._image is None or random.random() < 0.3:
            self._image = (list(self.blocks), self._synced, deepcopy(self.durable), self.signer)

    def lose_blocks(self, random: Random) -> int:
        """Put the ledger alone back from a copy; returns how many blocks it lacks."""
        lost = min(len(self.blocks), random.randint(1, 4))
        self.had.update({stored.boundary.size: None for stored in self.blocks})
        del self.blocks[len(self.blocks) - lost :]
        return lost

    def lose(self, *, everything: bool) -> None:
        """Lose the ledger, or the whole disk: then nobody knows any more what was voted."""
        self.had.update({stored.boundary.size: None for stored in self.blocks})
        self.blocks = []
        if everything:
            self._synced, self._unsynced, self._waiting, self._lsn = encode_file(0, ()), b"", (), 0
            self.durable, self.signer = Durable(), None
            self.evidence.clear()
            self.held.clear()
            self.forget_pieces()

    def forget_pieces(self) -> None:
        """What had come of a snapshot goes."""
        self.shown, self.forged = None, None
        self.pieces.clear()

    def rot(self, random: Random) -> str:
        """Flip a bit of the journal, or write a record over an earlier one; returns which, or nothing.

        Not in the last record: there it looks as if it had been torn (server/storage/journal.py says so).
        """
        records = self._records()
        if len(records) < 2:
            return ""
        self.is_rotten = True
        begin, end = random.choice(records[:-1])
        if random.random() < 0.5:
            place, data = random.randrange(begin, end), bytearray(self._synced)
            data[place] ^= 1 << random.randrange(8)
            self._synced = bytes(data)
            return f"a flipped bit at {place}"
        last, length = records[-1]
        self._synced = self._synced[:begin] + self._synced[last:length] + self._synced[end:]
        return "the last record where an earlier one was"

    def _records(self) -> list[tuple[int, int]]:
        found, position = [], _FIRST_RECORD
        while position < len(self._synced):
            end = position + _RECORD.size + _RECORD.unpack_from(self._synced, position)[0]
            found.append((position, end))
            position = end
        return found

    def beginnings(self) -> list[tuple[JournalEntry, ...]]:
        """What the journal would hold if it ended after each of its records."""
        return [tuple(scan(self._synced[:end])[0]) for _, end in self._records()]

    def journal(self) -> tuple[JournalEntry, ...]:
        """The entries that a restart finds, read by the real journal's code."""
        entries, self._lsn, _ = scan(self._synced)
        return tuple(entries)
