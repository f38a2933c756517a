"""The cheap scene: moves that may be refused, timers, rows that wait for a seal. It costs next to nothing.

A record is text, `kind id expires_ms account amount`; its outcome is part of the tree. What is built and checked
follows decisions 4 and 7, so that thousands of seeds try the protocol; domain.py runs the real rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from random import Random

from server.consensus.block import Attachments, Block
from server.consensus.effects import PublishCheckpoint
from server.consensus.events import Agenda
from server.consensus.evidence import Evidence
from server.ledger.block import Header, next_digest
from server.ledger.merkle import Frontier, leaf_hash
from server.record.canonical import b64u_encode
from tests.simulation.application import Brought, Errand, LedgerState, OpeningsMissing, SignedCheckpoints
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
    barred: tuple[str, ...] = ()
    roots: dict[int, bytes] = field(default_factory=dict)

    def copy(self) -> Ledger:
        """An independent copy, to execute a block on."""
        return Ledger(
            self.frontier.copy(), self.digest, self.time_ms, dict(self.balances), dict(self.done), list(self.timers),
            list(self.waiting), self.sealed_size, self.barred, dict(self.roots),
        )  # fmt: skip

    @property
    def epoch(self) -> None:
        """See LedgerState."""

    def agenda(self) -> Agenda:
        """What the state waits for."""
        due = min(self.timers)[0] if self.timers else None
        return Agenda(due, min(self.waiting) if self.waiting else None, self.sealed_size, self.barred)


class SmallApplication:
    """Mutable: `ledger` moves from block to block. See the module."""

    def __init__(self, members: Sequence[str], genesis_digest: str) -> None:
        self._members = tuple(members)
        self._keyring = HashKeyring("nobody")
        self.ledger = Ledger(digest=genesis_digest)
        self.newest = 1
        self._evidence: dict[str, str] = {}
        """Culprits by the id of what was proved."""

    def accuse(self, evidence: Evidence) -> None:
        """See Application."""
        self._evidence[evidence.id] = evidence.culprit

    def note_release(self, member: str, rules: int) -> None:
        """Its rules never change."""

    def keep(self, ledger: LedgerState) -> None:
        """See Application."""
        assert isinstance(ledger, Ledger)
        self.ledger = ledger

    def record_id(self, record: bytes) -> str | None:
        """The second word, if the record is well-formed."""
        words = record.decode("ascii", "replace").split(" ")
        well_formed = len(words) == 5 and words[0] in KINDS and words[2].isdigit() and words[4].isdigit()
        return words[1] if well_formed else None

    def expires_ms(self, record: bytes) -> int:
        """The third word."""
        return int(record.split(b" ")[2])

    def attachments(self, record: bytes) -> tuple[str, ...]:
        """What a `photo` record needs."""
        return (_photo_name(record),) if record.startswith(b"photo ") else ()

    def admits(self, record: bytes, attachments: Attachments, now_ms: int) -> bool:
        """What this node would order it lets wait."""
        return self.would_include(record, now_ms)

    def would_include(self, record: bytes, now_ms: int) -> bool:
        """Well-formed, not done, not expired at the own clock."""
        record_id = self.record_id(record)
        return record_id is not None and record_id not in self.ledger.done and now_ms < self.expires_ms(record)

    def build(self, time_ms: int, pending: Iterable[bytes], signed: SignedCheckpoints) -> list[bytes]:
        """Evidence, seal, due timers, records. A seal alone only if a row waits for it."""
        seal = signed.seal
        ledger = self.ledger
        records = [record for record in pending if self.would_include(record, time_ms)][:BATCH]
        items = [_timer_item(timer) for timer in _due(ledger, time_ms)] + records
        named = {culprit: name for name, culprit in self._evidence.items() if culprit not in ledger.barred}
        evidence = [f"evidence {name} {culprit}".encode() for culprit, name in sorted(named.items())]
        if seal is None or not seal.sealed or seal.size <= ledger.sealed_size or seal.size not in ledger.roots:
            return [*evidence, *items]
        if not items and not any(size <= seal.size for size in ledger.waiting):
            return evidence
        return [*evidence, _seal_item(seal, self._members), *items]

    def check(self, header: Header, items: Sequence[bytes]) -> bool:
        """Every due timer and no other, a seal that all members signed and that brings news, records not done yet."""
        rest = list(items)
        accused: list[str] = []
        while rest and rest[0].startswith(b"evidence "):
            _, name, culprit = rest.pop(0).decode().split(" ")
            if culprit in (*self.ledger.barred, *accused):
                return False
            if self._evidence.get(name) != culprit:
                raise OpeningsMissing([name])
            accused.append(culprit)
        if rest and rest[0].startswith(b"seal ") and not self._check_seal(rest.pop(0)):
            return False
        if not rest and not self.ledger.waiting and not accused:
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
            (line == "-" and member in self.ledger.barred) or self._keyring.verify_cosignature(member, size, root, line)
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
        if words[0] == "evidence":
            ledger.barred = (*ledger.barred, words[2])
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


def _seal_item(seal: PublishCheckpoint, members: Sequence[str]) -> bytes:
    signed = dict(seal.lines)
    lines = ",".join(signed.get(member, "-") for member in members)
    return f"seal {seal.size} {seal.root.hex()} {lines}".encode()


class SmallScene:
    """The small application with clients that bring records of all kinds; the world's own oracles are enough."""

    def __init__(self, members: Sequence[str], genesis_digest: str, random: Random) -> None:
        self._members, self._genesis_digest, self._random = tuple(members), genesis_digest, random
        self.estate = ""

    def application(self, address: str, held: Mapping[str, bytes]) -> SmallApplication:
        """See Scene."""
        return SmallApplication(self._members, self._genesis_digest)

    def errands(self, count: int, span_ms: int, now_ms: int) -> list[Errand]:
        """Records of all kinds; one in ten expires soon."""
        random, found = self._random, []
        for index in range(count):
            due = random.randint(0, span_ms)
            kind = random.choice(("move", "move", "move", "later", "award", "photo"))
            short = random.random() < 0.1
            life = random.randint(500, 5_000) if short else 3_600_000
            amount = random.randint(0, 8_000) if kind == "later" else random.randint(0, 60)
            expires_ms, account = now_ms + due + life, f"account{random.randint(0, 3)}"
            record = f"{kind} r{index:03} {expires_ms} {account} {amount}".encode()
            found.append(Errand(due, partial(_bring, _brought(f"r{index:03}", record, expires_ms, short))))
        return found

    def changes(self, count: int, span_ms: int) -> list[Errand]:
        """See Scene: who the members are never changes."""
        return []

    def stored(self, address: str, height: int, ledger: LedgerState) -> list[str]:
        """See Scene."""
        return []

    def conclude(self, address: str, blocks: Sequence[Block], ledger: LedgerState) -> list[str]:
        """See Scene."""
        return []


def _brought(record_id: str, record: bytes, expires_ms: int, short: bool) -> Brought:
    name = _photo_name(record)
    if not record.startswith(b"photo "):
        return Brought(record_id, record, expires_ms, not short)
    if record[-1] % 2 == 0:
        return Brought(record_id, record, expires_ms, not short, ((name, b"opening of " + record),))
    return Brought(record_id, record, expires_ms, not short, photos=(name,))


def _bring(brought: Brought, _ledger: LedgerState, _now_ms: int) -> Sequence[Brought]:
    return (brought,)


def _photo_name(record: bytes) -> str:
    return b64u_encode(sha256(record).digest())
