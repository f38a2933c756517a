"""Joining by a snapshot: before its replica begins, a node that is far behind takes a peer's newest state and the log
below it, instead of executing every block (consensus.md 2.6, DESIGN.md D29).

Nothing here votes, signs or serves. What a peer gives is believed only as `domain.joining` says; who gives something
wrong is not asked again, who is silent is passed over. When nobody gives what is needed the node begins as it is, and
fetches blocks one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from server.config import Config
from server.consensus.certificates import Certifier, read_certificate
from server.consensus.messages import Commit
from server.domain.joining import (
    History,
    JoinRefused,
    Page,
    PastBlock,
    Snapshot,
    VerifyLine,
    check_chunk,
    check_snapshot,
    read_json,
    whole_chunks,
)
from server.domain.state_root import Manifest
from server.node.blocks import RULES
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
class Ground:
    """What a joining node stands on: genesis' keys, in the forms that are asked."""

    cluster_id: bytes
    estate: str
    quorum: int
    certifier: Certifier
    verify: VerifyLine


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
                manifest = await self._choose()
                if manifest is None:
                    break
                try:
                    await self._fetch(manifest)
                    await self._load(manifest)
                except (NobodyGives, JoinRefused) as error:
                    log.warning("snapshot_not_joined", height=manifest.height, reason=str(error))
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

    async def _choose(self) -> Manifest | None:
        """The state to take; its proof lies in the folder. One of which something has come is gone on with."""
        held = self._held()
        shown = {member: each for member, each in (await self._seek()).items() if each is not None}
        for member, (_, manifest) in shown.items():
            if held is not None and manifest == held:
                log.info("snapshot_gone_on_with", height=held.height, member=member)
                return held
        if not shown:
            return held
        member, (raw, manifest) = max(shown.items(), key=lambda each: each[1][1].height)
        await asyncio.to_thread(self.folder.begin, raw)
        log.info("snapshot_chosen", height=manifest.height, member=member, chunks=len(manifest.chunks))
        return manifest

    def _held(self) -> Manifest | None:
        """The state that was being fetched when the node ended, unless it has become useless."""
        raw = self.folder.shown()
        if raw is None:
            return None
        try:
            manifest = self._check(raw)
        except JoinRefused as error:
            log.warning("snapshot_in_folder_refused", reason=str(error))
            manifest = None
        if manifest is None:
            self.folder.clear()
        return manifest

    def _check(self, raw: bytes) -> Manifest | None:
        """The manifest of a shown snapshot; None when it is too near to be worth it. Raises JoinRefused."""
        ground, schedule = self.ground, self.ledger.rows.schedule
        manifest = check_snapshot(read_json(raw, Snapshot), ground.quorum, ground.verify, schedule, RULES)
        ahead = manifest.height - self.ledger.tip.height
        return manifest if ahead >= self.config.consensus.join_behind else None

    async def _seek(self) -> dict[str, tuple[bytes, Manifest] | None]:
        """What peers show that is far enough ahead, by member; waits for some of them, but not for long."""
        asked: dict[str, tuple[bytes, Manifest] | None] = {}
        wanted = len(self.config.peers) if self.ledger.tip.height == 0 else self.ground.quorum - 1
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

    async def _ask_shown(self, member: str) -> tuple[bytes, Manifest] | None:
        try:
            raw = await self.peers.call(member, SNAPSHOT, b"")
            manifest = self._check(raw) if raw else None
        except CallFailed as error:
            log.info("snapshot_not_shown", member=member, reason=str(error))
            return None
        except JoinRefused as error:
            self._note_lie(member, error)
            return None
        return None if manifest is None else (raw, manifest)

    def _givers(self) -> list[str]:
        return [member for member in self.peers.connected() if member not in self._liars]

    def _note_lie(self, member: str, error: JoinRefused) -> None:
        self._liars.add(member)
        log.warning("peer_gave_a_wrong_snapshot", member=member, reason=str(error))

    # -- its pieces

    async def _fetch(self, manifest: Manifest) -> None:
        """Get what has not come yet: the state's chunks, then the log below it. Raises NobodyGives, OSError."""
        for number in range(len(manifest.chunks)):
            await self._fetch_chunk(manifest, number)
        history = self._history(manifest)
        while not history.is_whole:
            await self._fetch_page(history)

    async def _fetch_chunk(self, manifest: Manifest, number: int) -> None:
        held = await asyncio.to_thread(self.folder.chunk, number)
        if held is not None and _holds(lambda: check_chunk(manifest, number, held)):
            return
        question = encode(AskChunk(height=manifest.height, number=number))
        chunk, _ = await self._ask(CHUNK, question, lambda answer: check_chunk(manifest, number, answer))
        await asyncio.to_thread(self.folder.keep_chunk, number, chunk)

    async def _fetch_page(self, history: History) -> None:
        begin = history.height + 1
        held = await asyncio.to_thread(self.folder.page, begin)
        if held is not None and _holds(lambda: self._take(history, held)):
            return
        question = encode(AskHistory(begin=begin, end=history.manifest.height))
        page, _ = await self._ask(HISTORY, question, lambda answer: self._take(history, answer))
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
        tree = tip.frontier()
        return History(ground.cluster_id, ground.estate, manifest, tip.height, tip.block_id, tip.state_digest, tree)

    def _take(self, history: History, raw: bytes) -> list[Committed]:
        """The blocks of the next page, each with a certificate that holds. Raises JoinRefused."""
        before = history.height, history.block_id, history.state_digest, history.tree
        blocks = history.take(read_json(raw, Page))
        try:
            return [self._certified(past) for past in blocks]
        except JoinRefused:
            history.height, history.block_id, history.state_digest, history.tree = before
            raise

    def _certified(self, past: PastBlock) -> Committed:
        height = past.header.height
        if not self.ground.certifier.committed(past.certificate, height, past.block_id):
            raise JoinRefused(f"block {height} has no certificate that holds")
        first = read_certificate(Commit, past.certificate)[0].body
        return Committed(past, first.view, first.new_view)

    def _pages(self, manifest: Manifest) -> Iterator[Sequence[Committed]]:
        """The log as it lies in the folder, checked once more."""
        history = self._history(manifest)
        while not history.is_whole:
            yield self._take(history, self.folder.page(history.height + 1) or b"")

    async def _load(self, manifest: Manifest) -> None:
        """All of it into the database at once. Raises JoinRefused when the disk has changed a file since it came."""
        ledger = self.ledger
        state = whole_chunks(manifest, lambda number: self.folder.chunk(number) or b"")
        await load_snapshot(ledger.database, ledger.openings, ledger.tip, self._pages(manifest), state)
        log.info("snapshot_joined", height=manifest.height, size=manifest.size, rows=manifest.rows)
        await asyncio.to_thread(self.folder.clear)


def _holds(check: Callable[[], object]) -> bool:
    try:
        check()
    except JoinRefused:
        return False
    return True
