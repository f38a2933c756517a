"""Joining by a snapshot: before its replica begins, a node that is far behind takes a peer's newest state and the log
below it, instead of executing every block (consensus.md 2.6, DESIGN.md D29).

Nothing here votes, signs or serves. What a peer gives is believed only as `domain.joining` says; who gives something
wrong is not asked again, who is silent is passed over. When nobody gives what is needed the node begins as it is, and
fetches blocks one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import structlog

from server.config import Config
from server.consensus.certificates import Certifier, read_certificate
from server.consensus.config import Config as ReplicaConfig
from server.consensus.guilt import culprit_finder
from server.consensus.messages import Commit
from server.consensus.quorum import Quorum
from server.domain.joining import (
    History,
    JoinRefused,
    Page,
    PastBlock,
    Snapshot,
    check_chunk,
    check_snapshot,
    read_json,
    whole_chunks,
)
from server.domain.rules import Rulebook
from server.domain.state_root import Manifest
from server.ledger.genesis import Genesis, estate_of
from server.ledger.membership import Membership
from server.ledger.succession import Link, SuccessionError, follow_links
from server.node.keyring import Keys, NodeKeyring
from server.node.snapshot_desk import CHUNK, HISTORY, SNAPSHOT, AskChunk, AskHistory
from server.node.transport import CallFailed, Peers
from server.record.canonical import encode
from server.storage.joining import Committed, JoiningFolder, load_snapshot
from server.storage.ledger import Ledger

log = structlog.get_logger()
SEEK_S = 1.0
"""How long a starting node waits for peers that may be far ahead; with enough answers it goes on at once."""
SEEK_AGAIN_S = 0.02
ROUNDS_MAX = 3
"""Snapshots that are tried: peers let go of one when the next is told."""
FAILURES_MAX = 3
"""Times that all peers may fail to give one piece."""
FAILED_PAUSE_S = 0.2
T = TypeVar("T")


class NobodyGives(Exception):
    """No peer gives a piece of the snapshot that is right."""


@dataclass(frozen=True, slots=True)
class Members:
    """Everybody who was a member, as links from genesis prove: who could sign what when."""

    membership: Membership
    keyring: NodeKeyring
    certifiers: tuple[Certifier, ...]
    """By epoch."""
    quorum_of: Callable[[int], int]
    pinned: Mapping[int, str]

    def quorum_at(self, size: int) -> int:
        """How many must have signed a tree of this size."""
        return self.quorum_of(len(self.membership.epoch_of_size(size).ids))

    def committed(self, past: PastBlock) -> bool:
        """Whether the members of its epoch committed this block."""
        epoch, height = past.header.epoch, past.header.height
        is_known = 0 <= epoch < len(self.certifiers)
        if self.pinned.get(height, past.block_id) != past.block_id:
            # A quorum has certified both branches of a fork; operators have decided for the other one (D32).
            return False
        return is_known and self.certifiers[epoch].committed(past.certificate, height, past.block_id)


@dataclass(frozen=True, slots=True)
class Ground:
    """What a joining node stands on: genesis, its own keys, and the rules that its release knows."""

    genesis: Genesis
    cluster_id: bytes
    rulebook: Rulebook
    keys: Keys
    node: str
    pinned: Mapping[int, str] = field(default_factory=dict)
    """Block ids, by height, that operators have decided for where they resolved a fork."""

    @property
    def estate(self) -> str:
        """As records name it."""
        return estate_of(self.genesis, self.cluster_id)

    def quorum_of(self, members: int) -> int:
        """How many of so many members decide."""
        return Quorum(members, self.genesis.mode).quorum

    def follow(self, links: Sequence[Link]) -> Members:
        """All members that links prove. Raises JoinRefused."""
        genesis, cluster_id = self.genesis, self.cluster_id
        try:
            membership = follow_links(
                genesis, cluster_id, self.estate, links, self.quorum_of, culprit_finder(genesis.origin, cluster_id)
            )
        except SuccessionError as error:
            raise JoinRefused(f"the members are not proven: {error}") from None
        keyring = NodeKeyring(self.keys, membership, genesis.origin, cluster_id, self.node)
        certifiers = tuple(
            Certifier(
                ReplicaConfig(epoch.ids, self.node, cluster_id, epoch.number, observes=True, mode=genesis.mode), keyring
            )
            for epoch in membership.epochs
        )
        return Members(membership, keyring, certifiers, self.quorum_of, self.pinned)


class Target(NamedTuple):
    """The state to take, and who stands for it."""

    manifest: Manifest
    members: Members


@dataclass(slots=True)
class Joining:
    """Mutable. One node's joining: whom it has found lying, and what has come."""

    config: Config
    ground: Ground
    ledger: Ledger
    peers: Peers
    folder: JoiningFolder
    _liars: set[str] = field(default_factory=set)

    async def join(self) -> bool:
        """Take a snapshot if this node is far behind. Returns whether the database holds it: open the ledger anew.

        Raises OSError, and what the database raises; the database is then what it was.
        """
        if self.config.consensus.join_behind == 0 or not self.config.peers:
            return False
        async with self._connected():
            for _ in range(ROUNDS_MAX):
                target = await self._choose()
                if target is None:
                    break
                try:
                    await self._fetch(target)
                    await self._load(target)
                except (NobodyGives, JoinRefused) as error:
                    log.warning("snapshot_not_joined", height=target.manifest.height, reason=str(error))
                    continue
                return True
        return False

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[None]:
        """Connections to the peers for as long as this takes."""
        known = sorted(self.config.peers.items())
        tasks = [asyncio.create_task(self.peers.keep_connected(name, at.host, at.port)) for name, at in known]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)

    # -- which snapshot

    async def _choose(self) -> Target | None:
        """The state to take; its proof lies in the folder. One of which something has come is gone on with."""
        held = self._held()
        shown = {member: each for member, each in (await self._seek()).items() if each is not None}
        for member, (_, target) in shown.items():
            if held is not None and target.manifest == held.manifest:
                log.info("snapshot_gone_on_with", height=held.manifest.height, member=member)
                return held
        if not shown:
            return held
        member, (raw, target) = max(shown.items(), key=lambda each: each[1][1].manifest.height)
        await asyncio.to_thread(self.folder.begin, raw)
        log.info("snapshot_chosen", height=target.manifest.height, member=member, chunks=len(target.manifest.chunks))
        return target

    def _held(self) -> Target | None:
        """The state that was being fetched when the node ended, unless it has become useless."""
        raw = self.folder.shown()
        if raw is None:
            return None
        try:
            target = self._check(raw)
        except JoinRefused as error:
            log.warning("snapshot_in_folder_refused", reason=str(error))
            target = None
        if target is None:
            self.folder.clear()
        return target

    def _check(self, raw: bytes) -> Target | None:
        """What a peer shows and who stands for it; None when it is too near to be worth it. Raises JoinRefused."""
        shown, ground = read_json(raw, Snapshot), self.ground
        members = ground.follow(shown.links)
        quorum, verify = members.quorum_at(shown.size), members.keyring.verify_cosignature
        manifest = check_snapshot(shown, quorum, verify, self.ledger.rows.schedule, ground.rulebook.newest)
        ahead = manifest.height - self.ledger.tip.height
        return Target(manifest, members) if ahead >= self.config.consensus.join_behind else None

    async def _seek(self) -> dict[str, tuple[bytes, Target] | None]:
        """What peers show that is far enough ahead, by member; waits for some of them, but not for long."""
        asked: dict[str, tuple[bytes, Target] | None] = {}
        others = len(self.config.peers)
        wanted = others if self.ledger.tip.height == 0 else self.ground.quorum_of(others + 1) - 1
        loop = asyncio.get_running_loop()
        end_s = loop.time() + SEEK_S
        while loop.time() < end_s and len(asked) < wanted:
            for member in self._givers():
                if member not in asked:
                    asked[member] = await self._ask_shown(member)
            if any(asked.values()):
                break
            await asyncio.sleep(SEEK_AGAIN_S)
        return asked

    async def _ask_shown(self, member: str) -> tuple[bytes, Target] | None:
        try:
            raw = await self.peers.call(member, SNAPSHOT, b"")
            target = self._check(raw) if raw else None
        except CallFailed as error:
            log.info("snapshot_not_shown", member=member, reason=str(error))
            return None
        except JoinRefused as error:
            self._note_lie(member, error)
            return None
        return None if target is None else (raw, target)

    def _givers(self) -> list[str]:
        return [member for member in self.peers.connected() if member not in self._liars]

    def _note_lie(self, member: str, error: JoinRefused) -> None:
        self._liars.add(member)
        log.warning("peer_gave_a_wrong_snapshot", member=member, reason=str(error))

    # -- its pieces

    async def _fetch(self, target: Target) -> None:
        """Get what has not come yet: the state's chunks, then the log below it. Raises NobodyGives, OSError."""
        for number in range(len(target.manifest.chunks)):
            await self._fetch_chunk(target.manifest, number)
        history = self._history(target.manifest)
        while not history.is_whole:
            await self._fetch_page(history, target.members)

    async def _fetch_chunk(self, manifest: Manifest, number: int) -> None:
        held = await asyncio.to_thread(self.folder.chunk, number)
        if held is not None and _holds(lambda: check_chunk(manifest, number, held)):
            return
        question = encode(AskChunk(height=manifest.height, number=number))
        chunk, _ = await self._ask(CHUNK, question, lambda answer: check_chunk(manifest, number, answer))
        await asyncio.to_thread(self.folder.keep_chunk, number, chunk)

    async def _fetch_page(self, history: History, members: Members) -> None:
        begin = history.height + 1
        held = await asyncio.to_thread(self.folder.page, begin)
        if held is not None and _holds(lambda: _take(history, members, held)):
            return
        question = encode(AskHistory(begin=begin, end=history.manifest.height))
        page, _ = await self._ask(HISTORY, question, lambda answer: _take(history, members, answer))
        await asyncio.to_thread(self.folder.keep_page, begin, page)

    async def _ask(self, method: str, question: bytes, check: Callable[[bytes], T]) -> tuple[bytes, T]:
        """Ask one peer after the other until an answer is right. Raises NobodyGives."""
        for _ in range(FAILURES_MAX):
            for member in self._givers():
                try:
                    answer = await self.peers.call(member, method, question)
                    return answer, check(answer)
                except CallFailed as error:
                    log.info("snapshot_piece_not_given", member=member, method=method, reason=str(error))
                except JoinRefused as error:
                    self._note_lie(member, error)
            await asyncio.sleep(FAILED_PAUSE_S)
        raise NobodyGives(f"no peer answers {method} {question.decode()}")

    # -- the log

    def _history(self, manifest: Manifest) -> History:
        tip, ground = self.ledger.tip, self.ground
        return History(
            ground.cluster_id, ground.estate, ground.rulebook, manifest, tip.height, tip.block_id, tip.state_digest,
            tip.frontier(),
        )  # fmt: skip

    def _pages(self, target: Target) -> Iterator[Sequence[Committed]]:
        """The log as it lies in the folder, checked once more."""
        history = self._history(target.manifest)
        while not history.is_whole:
            yield _take(history, target.members, self.folder.page(history.height + 1) or b"")

    async def _load(self, target: Target) -> None:
        """All of it into the database at once. Raises JoinRefused when the disk has changed a file since it came."""
        ledger, manifest = self.ledger, target.manifest
        state = whole_chunks(manifest, lambda number: self.folder.chunk(number) or b"")
        await load_snapshot(ledger.database, ledger.openings, ledger.tip, self._pages(target), state)
        log.info("snapshot_joined", height=manifest.height, size=manifest.size, rows=manifest.rows)
        await asyncio.to_thread(self.folder.clear)


def _take(history: History, members: Members, raw: bytes) -> list[Committed]:
    """The blocks of the next page, each with a certificate that holds. Raises JoinRefused."""
    before = history.height, history.block_id, history.state_digest, history.tree
    blocks = history.take(read_json(raw, Page))
    try:
        return [_certified(past, members) for past in blocks]
    except JoinRefused:
        history.height, history.block_id, history.state_digest, history.tree = before
        raise


def _certified(past: PastBlock, members: Members) -> Committed:
    if not members.committed(past):
        raise JoinRefused(f"block {past.header.height} has no certificate that holds")
    first = read_certificate(Commit, past.certificate)[0].body
    return Committed(past, first.view, first.new_view)


def _holds(check: Callable[[], object]) -> bool:
    try:
        check()
    except JoinRefused:
        return False
    return True
