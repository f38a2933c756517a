"""A small deterministic application for the simulator: moves that may be refused, timers, rows that wait for a seal.

A record is text, `kind id expires_ms account amount`; its outcome is part of the tree. It stands where the domain
stands in a node, behind the same questions: admit, build, check, execute. What it builds and checks follows decisions 4
and 7. Another application takes its place by being a `Maker`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Protocol

from server.consensus.block import Block
from server.consensus.effects import PublishCheckpoint
from server.consensus.events import Agenda
from server.ledger.block import Header, next_digest
from server.ledger.merkle import Frontier, leaf_hash
from server.record.canonical import b64u_encode
from tests.simulation.keyring import HashKeyring

BATCH = 12
OPENING_GRANT = 100
KINDS = ("move", "later", "award", "photo")


@dataclass(slots=True)
class Ledger:
    """Mutable. Everything that follows from the stored blocks: rows, tree, digest."""

    frontier: Frontier = field(default_factory=Frontier)
    digest: str = ""
    time_ms: int = 0
    balances: dict[str, int] = field(default_factory=dict)
    done: dict[str, str] = field(default_factory=dict)
    """Outcome of every record, by id: exactly once."""
    timers: list[tuple[int, str]] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    """Tree sizes that must be sealed before a row goes on."""
    sealed_size: int = 0
    roots: dict[int, bytes] = field(default_factory=dict)

    def copy(self) -> Ledger:
        """An independent copy, to execute a block on."""
        return Ledger(
            self.frontier.copy(), self.digest, self.time_ms, dict(self.balances), dict(self.done), list(self.timers),
            list(self.waiting), self.sealed_size, dict(self.roots),
        )  # fmt: skip

    def agenda(self) -> Agenda:
        """What the state waits for."""
        due = min(self.timers)[0] if self.timers else None
        return Agenda(due, min(self.waiting) if self.waiting else None, self.sealed_size)


class Application(Protocol):
    """What the simulator's driver asks of an application; the real domain can stand here too."""

    ledger: Ledger

    def record_id(self, record: bytes) -> str | None:
        """The id of a well-formed record."""
        ...

    def expires_ms(self, record: bytes) -> int:
        """Until when a well-formed record may be ordered."""
        ...

    def attachment(self, record: bytes) -> str | None:
        """Name of the attachment without which no replica prepares it."""
        ...

    def would_include(self, record: bytes, now_ms: int) -> bool:
        """Whether this node would itself order it."""
        ...

    def build(self, time_ms: int, pending: Iterable[bytes], seal: PublishCheckpoint | None) -> list[bytes]:
        """A batch for this time."""
        ...

    def check(self, header: Header, items: Sequence[bytes]) -> bool:
        """Whether a batch is one that `build` may give."""
        ...

    def execute(self, block: Block) -> tuple[Ledger, list[str]]:
        """The ledger after the block, and the ids of its records."""
        ...


class Maker(Protocol):
    """Makes a node's application at genesis; `workload` makes what clients bring."""

    def __call__(self, members: Sequence[str], genesis_digest: str) -> Application:
        """An application with an empty ledger."""
        ...

    def workload(self, random: Random, count: int, span_ms: int, epoch_ms: int) -> list[Brought]:
        """Records that clients bring within a span of time."""
        ...


@dataclass(frozen=True, slots=True)
class Brought:
    """A record that a client brings at `due_ms`. `lasting`: it does not expire while the run lasts."""

    due_ms: int
    record: bytes
    lasting: bool


class SmallApplication:
    """Mutable: `ledger` moves from block to block. See the module."""

    def __init__(self, members: Sequence[str], genesis_digest: str) -> None:
        self._members = tuple(members)
        self._keyring = HashKeyring("nobody")
        self.ledger = Ledger(digest=genesis_digest)

    @staticmethod
    def workload(random: Random, count: int, span_ms: int, epoch_ms: int) -> list[Brought]:
        """Records of all kinds; one in ten expires soon."""
        found = []
        for index in range(count):
            due = random.randint(0, span_ms)
            kind = random.choice(("move", "move", "move", "later", "award", "photo"))
            short = random.random() < 0.1
            life = random.randint(500, 5_000) if short else 3_600_000
            amount = random.randint(0, 8_000) if kind == "later" else random.randint(0, 60)
            account = f"account{random.randint(0, 3)}"
            record = f"{kind} r{index:03} {epoch_ms + due + life} {account} {amount}".encode()
            found.append(Brought(due, record, not short))
        return found

    def record_id(self, record: bytes) -> str | None:
        """The second word, if the record is well-formed."""
        words = record.decode("ascii", "replace").split(" ")
        well_formed = len(words) == 5 and words[0] in KINDS and words[2].isdigit() and words[4].isdigit()
        return words[1] if well_formed else None

    def expires_ms(self, record: bytes) -> int:
        """The third word."""
        return int(record.split(b" ")[2])

    def attachment(self, record: bytes) -> str | None:
        """What a `photo` record needs, named as its commitment would be."""
        return b64u_encode(sha256(record).digest()) if record.startswith(b"photo ") else None

    def would_include(self, record: bytes, now_ms: int) -> bool:
        """Well-formed, not done, not expired at the own clock."""
        record_id = self.record_id(record)
        return record_id is not None and record_id not in self.ledger.done and now_ms < self.expires_ms(record)

    def build(self, time_ms: int, pending: Iterable[bytes], seal: PublishCheckpoint | None) -> list[bytes]:
        """Seal, due timers, records. A seal alone only if a row waits for it."""
        ledger = self.ledger
        records = [record for record in pending if self.would_include(record, time_ms)][:BATCH]
        items = [_timer_item(timer) for timer in _due(ledger, time_ms)] + records
        if seal is None or not seal.sealed or seal.size <= ledger.sealed_size or seal.size not in ledger.roots:
            return items
        if not items and not any(size <= seal.size for size in ledger.waiting):
            return []
        return [_seal_item(seal), *items]

    def check(self, header: Header, items: Sequence[bytes]) -> bool:
        """Every due timer and no other, a seal that all members signed and that brings news, records not done yet."""
        rest = list(items)
        if rest and rest[0].startswith(b"seal ") and not self._check_seal(rest.pop(0)):
            return False
        if not rest and not self.ledger.waiting:
            return False
        due = [_timer_item(timer) for timer in _due(self.ledger, header.time_ms)]
        if rest[: len(due)] != due:
            return False
        records = rest[len(due) :]
        ids = [self.record_id(record) for record in records]
        if len(dict.fromkeys(ids)) != len(ids) or not items:
            return False
        return all(self.would_include(record, header.time_ms) for record in records)

    def _check_seal(self, item: bytes) -> bool:
        _, size_text, root_hex, *lines = item.decode().split(" ", 3)
        size, root = int(size_text), bytes.fromhex(root_hex)
        if size <= self.ledger.sealed_size or self.ledger.roots.get(size) != root:
            return False
        signed = lines[0].split(",") if lines else []
        return len(signed) == len(self._members) and all(
            self._keyring.verify_cosignature(member, size, root, line)
            for member, line in zip(self._members, signed, strict=True)
        )

    def execute(self, block: Block) -> tuple[Ledger, list[str]]:
        """Apply every item in order; nothing is refused by raising."""
        ledger = self.ledger.copy()
        index = ledger.frontier.size
        ledger.time_ms = block.header.time_ms
        outcomes, ids = [], []
        for item in block.items:
            outcome = self._apply(ledger, item, index)
            record_id = self.record_id(item)
            if record_id is not None:
                ledger.done[record_id] = outcome
                ids.append(record_id)
            outcomes.append(outcome)
            ledger.frontier.append(leaf_hash(f"{block.height} {index} {outcome} ".encode() + item))
            index += 1
        changed = [f"{name} {amount}".encode() for name, amount in sorted(ledger.balances.items())]
        ledger.digest = next_digest(ledger.digest, outcomes, changed)
        ledger.frontier.append(leaf_hash(f"block {block.block_id} {ledger.digest}".encode()))
        ledger.roots[ledger.frontier.size] = ledger.frontier.root()
        return ledger, ids

    def _apply(self, ledger: Ledger, item: bytes, index: int) -> str:
        words = item.decode().split(" ")
        if words[0] == "seal":
            ledger.sealed_size = int(words[1])
            ledger.waiting = [size for size in ledger.waiting if size > ledger.sealed_size]
            return "accepted"
        if words[0] == "timer":
            ledger.timers.remove((int(words[1]), words[2]))
            return "accepted"
        kind, record_id, _, account, amount = words
        if kind == "later":
            ledger.timers.append((ledger.time_ms + int(amount), record_id))
        elif kind == "award":
            ledger.waiting.append(index + 1)
        else:
            balance = ledger.balances.get(account, OPENING_GRANT)
            if balance < int(amount):
                return "balance_too_low"
            ledger.balances[account] = balance - int(amount)
        return "accepted"


def _due(ledger: Ledger, time_ms: int) -> list[tuple[int, str]]:
    return [timer for timer in sorted(ledger.timers) if timer[0] <= time_ms][:200]


def _timer_item(timer: tuple[int, str]) -> bytes:
    return b"timer %d %s" % (timer[0], timer[1].encode())


def _seal_item(seal: PublishCheckpoint) -> bytes:
    lines = ",".join(line for _, line in seal.lines)
    return f"seal {seal.size} {seal.root.hex()} {lines}".encode()
