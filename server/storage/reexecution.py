"""A whole log executed anew in memory, from nothing but genesis and its entries: what does it say that is not so?

Each block is parsed, checked as a proposal is (`check_batch`), its signatures and seals verified, and executed; header,
outcomes, entries, digest and root must come out as the log has them. What a log does not hold is not checked: the
openings of ballots behind a tally, and the certificates of consensus. It must not know where the entries come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, TypeVar

import msgspec

from server.consensus.guilt import culprit_finder
from server.domain import RULEBOOK
from server.domain.agenda import Seal, SealWait, Timer
from server.domain.check import BatchInvalid, SignatureCheck, check_batch, signature_checks
from server.domain.evidence import Barred
from server.domain.execute import Executed, execute_block
from server.domain.genesis_rows import genesis_rows, trust_of
from server.domain.membership import IN_FORCE, EpochInForce
from server.domain.plan import DerivedWork, RecordWork, Work, access_set, parse_items
from server.domain.resolution import ResolveFork, refuse_work
from server.domain.rules import Rulebook, Rules, RulesUnknown
from server.domain.state_root import After, Manifest, Schedule, TellStateRoot, manifest_of
from server.ledger.block import LEAF_KIND, Derived, Header, block_id, entries_root, genesis_digest, genesis_tip
from server.ledger.checkpoint import verify_cosign_line
from server.ledger.genesis import Genesis, estate_of
from server.ledger.merkle import EMPTY_ROOT, Frontier
from server.record.canonical import Malformed, b64u_decode, b64u_encode, decode, encode
from server.record.rows import Key, Row, Rows, key
from server.record.signature import verify
from server.storage.stored import item_of
from server.storage.tables import FORGET_COLUMN, ROW_TABLES

Waiting = TypeVar("Waiting", Timer, SealWait)
_SIGNATURES_TOGETHER = 32
_BLOCK_ENTRIES_MAX = 1_000
"""More entries without a block's leaf among them are no log: a block has 500 items at most."""


class LogDiffers(Exception):
    """The log says what does not come out. The message names height, index and what."""

    def __init__(self, height: int, index: int, what: str) -> None:
        super().__init__(f"block {height}, entry {index}: {what}")
        self.height, self.index = height, index


class BlockTold(msgspec.Struct, frozen=True):
    """A block as the log tells it: its first index, its entries (leaf last), and the leaf's body."""

    height: int
    first_index: int
    contents: tuple[bytes, ...]
    leaf: Mapping[str, Any]
    time_ms: int


class End(msgspec.Struct, frozen=True):
    """What the log came to: after genesis, or after a block. `root` is 32 bytes."""

    height: int
    size: int
    root: bytes
    block_id: str
    state_digest: str
    time_ms: int


def blocks_told(contents: Iterable[bytes]) -> Iterator[BlockTold]:
    """Cut a log's entries into blocks. Raises LogDiffers: not an entry, or a last block without its leaf."""
    height, first, held = 1, 0, list[bytes]()
    for index, content in enumerate(contents):
        held.append(content)
        leaf = _leaf_of(content, height, index)
        if leaf is not None:
            yield BlockTold(height, first, tuple(held), leaf["system"]["body"], leaf["time_ms"])
            height, first, held = height + 1, index + 1, []
        elif len(held) > _BLOCK_ENTRIES_MAX:
            raise LogDiffers(height, index, "the block does not end")
    if held:
        raise LogDiffers(height, first + len(held) - 1, "the log ends inside a block")


def _leaf_of(content: bytes, height: int, index: int) -> dict[str, Any] | None:
    """The leaf that ends a block, taken apart; None for any other entry."""
    try:
        entry = decode(content)
        system = entry.get("system")
        if system is None or system["kind"] != LEAF_KIND:
            return None
        body = system["body"]
        Header(0, str(body["entries_root"]), int(body["epoch"]), height, body["prev"], body["proposer"],
               int(body["rules"]), "", int(entry["time_ms"]))  # fmt: skip
        return dict(entry)
    except (Malformed, KeyError, TypeError, ValueError, AttributeError) as error:
        raise LogDiffers(height, index, f"not a log entry: {error}") from None


@dataclass(slots=True)
class MemoryRows:
    """Mutable. The rows of one ledger in memory, with the few questions that planning a block asks of them."""

    by_key: dict[Key, Row] = field(default_factory=dict)
    _timers: dict[Key, Timer] = field(default_factory=dict)
    _waits: dict[Key, SealWait] = field(default_factory=dict)
    _forgets: list[tuple[int, Key]] = field(default_factory=list)
    """A heap; a row that was changed since stands in it more than once."""

    def take(self, changed: Mapping[Key, Row], time_ms: int) -> None:
        """Keep what a block changed, and forget what is forgotten by its time, as storage does."""
        for name, row in changed.items():
            self.by_key[name] = row
            _hold(self._timers, name, row, Timer)
            _hold(self._waits, name, row, SealWait)
            if ROW_TABLES[name.table].forgets:
                heappush(self._forgets, (_forget_ms(row), name))
        while self._forgets and self._forgets[0][0] <= time_ms:
            _, name = heappop(self._forgets)
            held = self.by_key.get(name)
            if held is not None and _forget_ms(held) <= time_ms:
                del self.by_key[name]

    def plan(self, items: Sequence[bytes], estate: str, rules: Rules) -> tuple[list[Work], Rows]:
        """The work of a batch and the rows that it may touch. Raises Malformed."""
        waits = sorted(self._waits.values(), key=lambda wait: (wait.index, wait.id))
        works = parse_items(items, estate, waits, rules)
        return works, Rows({name: self.by_key.get(name) for name in access_set(works)})

    def due(self, time_ms: int) -> list[Timer]:
        """Timers due at a block time."""
        return [timer for timer in self._timers.values() if timer.due_ms <= time_ms]

    def is_barred(self, member: str) -> bool:
        """Does ordered evidence name this member?"""
        return key(Barred, member) in self.by_key

    def of_table(self, table: str) -> dict[str, bytes]:
        """The rows of a table by id, in canonical bytes."""
        return {name.id: encode([table, name.id, row]) for name, row in self.by_key.items() if name.table == table}


def _forget_ms(row: Row) -> int:
    return int(getattr(row, FORGET_COLUMN))


def _hold(waiting: dict[Key, Waiting], name: Key, row: Row, kind: type[Waiting]) -> None:
    if isinstance(row, kind):
        if row.done:
            waiting.pop(name, None)
        else:
            waiting[name] = row


class Reexecution:
    """Mutable. The ledger as it stands after the blocks that were given to `take`, in order."""

    def __init__(
        self,
        genesis: Genesis,
        cluster_id: bytes,
        threads: Executor,
        schedule: Schedule | None = None,
        rulebook: Rulebook = RULEBOOK,
    ) -> None:
        self._schedule, self._rulebook = schedule or Schedule(), rulebook
        self.state: Manifest | None = None
        """The newest state whose root the log tells, or will tell."""
        self._genesis, self._cluster_id, self._threads = genesis, cluster_id, threads
        self._estate, self._trust = estate_of(genesis, cluster_id), trust_of(genesis, cluster_id)
        self._culprit_of = culprit_finder(genesis.origin, cluster_id)
        self._tree = Frontier()
        self.rows = MemoryRows()
        self.rows.take({Key(row.table, row.id): row for row in genesis_rows(genesis)}, genesis.created_ms)
        prev, digest = genesis_tip(cluster_id), genesis_digest(cluster_id)
        self.end = End(0, 0, EMPTY_ROOT, prev, digest, genesis.created_ms)
        self.roots: dict[int, bytes] = {}
        """The root at every block boundary, by size."""
        self.records = 0

    @property
    def standing(self) -> EpochInForce | None:
        """Who the members are; None where genesis names no operators."""
        row = self.rows.by_key.get(key(EpochInForce, IN_FORCE))
        return row if isinstance(row, EpochInForce) else None

    def take(self, told: BlockTold) -> End:
        """Check and execute the next block. Raises LogDiffers; the ledger then stands where it stood."""
        header, items = self._header(told)
        try:
            rules = self._rulebook.find(header.rules)
            works, rows = self.rows.plan(items, self._estate, rules)
            self._check_state(told, works)
            check_batch(header, items, works, rows, self.rows.due(header.time_ms), rules, self._told(told.height))
            self._check_resolution(told, works, rows)
            running = self._verify(signature_checks(_records(works), rows))
        except (Malformed, BatchInvalid, RulesUnknown) as error:
            raise LogDiffers(told.height, told.first_index, str(error)) from None
        executed = execute_block(header, works, rows, self._tree, self._trust, rules)
        self._compare(told, executed)
        for work in works:
            if isinstance(work, DerivedWork) and isinstance(work.rule, Seal):
                self._check_seal(told, work.rule)
        self._join(told, works, running)
        return self._advance(header, executed, works)

    def _told(self, height: int) -> Derived | None:
        if self._schedule.told_at(height) is None:
            return None
        assert self.state is not None, "the state was hashed after its block"
        return self.state.item()

    def _check_state(self, told: BlockTold, works: Sequence[Work]) -> None:
        """Names the entry that tells another state; that one is missing is for `check_batch` to say."""
        mine = self._told(told.height)
        for index, work in enumerate(works, told.first_index):
            if mine is None or not isinstance(work, DerivedWork) or not isinstance(work.rule, TellStateRoot):
                continue
            if work.item != mine:
                said, gives = encode(work.item.body).decode(), encode(mine.body).decode()
                raise LogDiffers(told.height, index, f"the log tells the state {said}, executing gives {gives}")

    def _check_resolution(self, told: BlockTold, works: Sequence[Work], rows: Rows) -> None:
        rule = works[0].rule if works and isinstance(works[0], DerivedWork) else None
        if isinstance(rule, ResolveFork):
            end = (self.end.size, self.end.root)
            refused = refuse_work(rule, rows, end, self._cluster_id, self._culprit_of)
            if refused is not None:
                raise LogDiffers(told.height, told.first_index, f"the resolution does not hold: {refused}")

    def _header(self, told: BlockTold) -> tuple[Header, list[bytes]]:
        items = []
        for index, content in enumerate(told.contents[:-1], told.first_index):
            try:
                item = item_of(content)
            except (Malformed, KeyError, TypeError, ValueError) as error:
                raise LogDiffers(told.height, index, f"not a log entry: {error}") from None
            assert item is not None, "a block has one leaf"
            items.append(item)
        leaf, end = told.leaf, self.end
        last = told.first_index + len(items)
        if leaf["prev"] != end.block_id:
            raise LogDiffers(told.height, last, f"prev is {leaf['prev']}, the block before has the id {end.block_id}")
        if told.time_ms <= end.time_ms:
            raise LogDiffers(told.height, last, "the block's time is not after that of the block before")
        root, size = entries_root(items), sum(map(len, items))
        if leaf["entries_root"] != root:
            raise LogDiffers(told.height, last, f"entries_root is {leaf['entries_root']}, the items give {root}")
        proposer, rules, epoch = leaf["proposer"], leaf["rules"], leaf["epoch"]
        header = Header(size, root, epoch, told.height, end.block_id, proposer, rules, end.state_digest, told.time_ms)
        name = block_id(self._cluster_id, header)
        if leaf.get("block_id") != name:
            raise LogDiffers(told.height, last, f"block_id is {leaf.get('block_id')}, the header gives {name}")
        return header, items

    def _compare(self, told: BlockTold, executed: Executed) -> None:
        if told.leaf.get("state_digest") != executed.state_digest:
            raise LogDiffers(told.height, *_difference(told, executed))
        for index, (old, new) in enumerate(zip(told.contents, executed.entries, strict=True), told.first_index):
            if old != new:
                raise LogDiffers(told.height, index, f"the log has {_short(old)}, executing gives {_short(new)}")

    def _check_seal(self, told: BlockTold, seal: Seal) -> None:
        root = self.roots.get(seal.size)
        if root is None or b64u_encode(root) != seal.root:
            raise LogDiffers(
                told.height, told.first_index, f"the seal at size {seal.size} is of another root than ours"
            )
        standing = self.standing
        members = standing.epoch.members if standing is not None else self._genesis.members
        excused = standing.excused(seal.size) if standing is not None else ""
        if len(seal.signatures) != len(members):
            raise LogDiffers(told.height, told.first_index, "the seal has not one line for each member")
        for member, line in zip(members, seal.signatures, strict=True):
            if not line and (self.rows.is_barred(member.id) or member.id == excused):
                continue
            public = b64u_decode(member.cosign_key)
            if not verify_cosign_line(public, self._genesis.origin, member.id, seal.size, root, line):
                raise LogDiffers(told.height, told.first_index, f"the seal is not signed by {member.id}")

    def _verify(self, checks: Sequence[SignatureCheck]) -> list[Future[list[bool]]]:
        """In threads, meanwhile the block is executed."""
        parts = [checks[begin : begin + _SIGNATURES_TOGETHER] for begin in range(0, len(checks), _SIGNATURES_TOGETHER)]
        return [self._threads.submit(_verify_part, part) for part in parts]

    def _join(self, told: BlockTold, works: Sequence[Work], running: Sequence[Future[list[bool]]]) -> None:
        good = [one for part in running for one in part.result()]
        places = [place for place, work in enumerate(works) if isinstance(work, RecordWork)]
        for place, holds in zip(places, good, strict=True):
            if not holds:
                raise LogDiffers(told.height, told.first_index + place, "the record's signature is wrong")

    def _advance(self, header: Header, executed: Executed, works: Sequence[Work]) -> End:
        self.rows.take(executed.changed, header.time_ms)
        self._tree = Frontier(executed.size, executed.peaks)
        self.roots[executed.size] = executed.root
        self.records += len(_records(works))
        name = block_id(self._cluster_id, header)
        self.end = End(header.height, executed.size, executed.root, name, executed.state_digest, header.time_ms)
        if header.height % self._schedule.every == 0:
            self.state = self._hash_state(header)
        return self.end

    def _hash_state(self, header: Header) -> Manifest:
        end = self.end
        after = After(end.height, end.block_id, end.size, end.root, end.state_digest, end.time_ms, header.rules)
        rows = ((name.table, row) for name, row in self.rows.by_key.items())
        return manifest_of(after, rows, self._rulebook.find(header.rules))


def _difference(told: BlockTold, executed: Executed) -> tuple[int, str]:
    """(index, what) of the first thing that comes out otherwise: an outcome, or with equal outcomes the digest."""
    for index, (content, outcome) in enumerate(zip(told.contents, executed.outcomes, strict=False), told.first_index):
        said = decode(content).get("outcome")
        if said != outcome:
            return index, f"the outcome is {said}, executing gives {outcome}"
    index = told.first_index + len(told.contents) - 1
    return index, f"state_digest is {told.leaf.get('state_digest')}, executing gives {executed.state_digest}"


def _verify_part(checks: Sequence[SignatureCheck]) -> list[bool]:
    return [verify(*check) for check in checks]


def _records(works: Sequence[Work]) -> list[RecordWork]:
    return [work for work in works if isinstance(work, RecordWork)]


def _short(content: bytes) -> str:
    text = content.decode("utf-8", "replace")
    return text if len(text) <= 200 else f"{text[:60]}...{text[-120:]}"
