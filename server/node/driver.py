"""The loop of one node: it gives events to the replica and performs its effects, strictly in order.

Durability comes first: `Persist` and `PersistSigner` are barriers, and what several events ask to persist is written
with one sync. Questions about blocks are answered by one worker, one after the other, so that executing and storing
never overlap and are never cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog

from server.consensus import effects as fx
from server.consensus import events as ev
from server.consensus.replica import Replica
from server.consensus.restored import SignerMark
from server.storage.journal import Journal
from server.storage.signer import SignerFile

log = structlog.get_logger()
INBOX_MAX = 20_000
"""Events waiting for the replica; beyond it frames of peers are dropped, STATUS asks for them again."""
STEPS_AT_ONCE = 64
"""Events stepped before their effects are performed: more would let a burst delay the first answer."""


T = TypeVar("T")
Work = Callable[[], Coroutine[None, None, None]]


class NodeFailed(Exception):
    """Disk, database or our own code failed: the node has stopped voting and must end. The message says why."""


class Questions(Protocol):
    """What the driver asks of the rest of the node."""

    def admit_at_once(self, effect: fx.Admit) -> ev.Event | None: ...
    async def admit(self, effect: fx.Admit) -> ev.Event: ...
    async def attend(self, effect: fx.Check) -> None: ...
    async def build(self, effect: fx.Build) -> Sequence[ev.Event]: ...
    async def check(self, effect: fx.Check) -> ev.Event: ...
    async def execute(self, effect: fx.Execute) -> ev.Event: ...
    async def store(self, effect: fx.Store) -> Sequence[ev.Event]: ...
    async def read_blocks(self, effect: fx.ReadBlocks) -> ev.Event: ...
    async def keep_transcript(self, effect: fx.KeepTranscript) -> None: ...
    async def keep_evidence(self, effect: fx.KeepEvidence) -> None: ...
    async def prove_retired(self, effect: fx.ProveRetired) -> None: ...
    def publish(self, effect: fx.PublishCheckpoint) -> None: ...
    def note_release(self, effect: fx.NoteRelease) -> None: ...
    def refused(self, record_id: str) -> None: ...
    def stopped(self, effect: fx.Stop) -> None: ...


@dataclass(slots=True)
class Durable:
    """Where the replica's memory lies."""

    journal: Journal
    signer: SignerFile


class Driver:
    """Mutable. Drives one replica."""

    def __init__(
        self,
        replica: Replica,
        durable: Durable,
        questions: Questions,
        send: Callable[[str | None, bytes], None],
        now_ms: Callable[[], int],
    ) -> None:
        self.replica = replica
        self._durable = durable
        self._questions = questions
        self._send = send
        self._now_ms = now_ms
        self._inbox: asyncio.Queue[ev.Event] = asyncio.Queue()
        self._work: asyncio.Queue[fx.Effect] = asyncio.Queue()
        self._tasks: asyncio.TaskGroup | None = None

    def put(self, event: ev.Event) -> None:
        """Give an event; frames beyond the bound are dropped."""
        if isinstance(event, ev.Received) and self._inbox.qsize() >= INBOX_MAX:
            return
        self._inbox.put_nowait(event)

    async def run(self, tick_ms: int, beside: Mapping[str, Work] | None = None) -> None:
        """Run until cancelled. Raises NodeFailed when disk, database or code fails; the replica is halted by then.

        `beside`: what else the node does for ever, by name. What fails there fails the node in the same way.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._answer_in_order(), name="block-worker")
                tasks.create_task(self._tick(tick_ms), name="tick")
                for name, work in (beside or {}).items():
                    tasks.create_task(work(), name=name)
                await self._perform(self.replica.step(self._now_ms(), ev.Start()))
                while True:
                    await self._turn()
        except ExceptionGroup as failures:
            failure = first_failure(failures)
            detail = f"{type(failure).__name__}: {failure}"
            log.critical("node_failed", detail=detail, exc_info=failure)
            self._halt(detail)
            raise NodeFailed(detail) from failures

    def _halt(self, detail: str) -> None:
        """Nothing more leaves this node: of what the replica still asks for only the stop is done."""
        for effect in self.replica.step(self._now_ms(), ev.Halted(detail)):
            if isinstance(effect, fx.Stop):
                self._questions.stopped(effect)

    async def _tick(self, tick_ms: int) -> None:
        while True:
            await asyncio.sleep(tick_ms / 1000)
            self.put(ev.Tick())

    async def _turn(self) -> None:
        event = await self._inbox.get()
        effects = self.replica.step(self._now_ms(), event)
        for _ in range(min(self._inbox.qsize(), STEPS_AT_ONCE)):
            effects += self.replica.step(self._now_ms(), self._inbox.get_nowait())
        await self._perform(effects)

    async def _perform(self, effects: Sequence[fx.Effect]) -> None:
        written = 0
        for position, effect in enumerate(effects):
            match effect:
                case fx.Persist():
                    if position >= written:
                        written = await self._persist(effects, position)
                case fx.Truncate(entries):
                    await _finish_in_thread(self._durable.journal.rewrite, entries)
                case fx.PersistSigner(epoch, size, root, time_s):
                    await _finish_in_thread(self._durable.signer.advance, SignerMark(epoch, size, root, time_s))
                case fx.Send(to, frame):
                    self._send(to, frame)
                case _:
                    self._dispatch(effect)

    async def _persist(self, effects: Sequence[fx.Effect], begin: int) -> int:
        """Write this Persist and the later ones of the list, up to a Truncate, with one sync."""
        end = begin
        entries: list[fx.JournalEntry] = []
        while end < len(effects) and not isinstance(effects[end], fx.Truncate):
            effect = effects[end]
            if isinstance(effect, fx.Persist):
                entries.extend(effect.entries)
            end += 1
        await _finish_in_thread(self._durable.journal.append, entries)
        return end

    def _dispatch(self, effect: fx.Effect) -> None:
        match effect:
            case fx.Build() | fx.Execute() | fx.Store() | fx.KeepTranscript() | fx.KeepEvidence() | fx.ProveRetired():
                self._work.put_nowait(effect)
            case fx.Check():
                self._spawn(self._attend(effect), "attend")
            case fx.Admit():
                at_once = self._questions.admit_at_once(effect)
                if at_once is not None:
                    self.put(at_once)
                else:
                    self._spawn(self._answer(self._questions.admit(effect)), "admit")
            case fx.ReadBlocks():
                self._spawn(self._answer(self._questions.read_blocks(effect)), "read-blocks")
            case _:
                self._tell(effect)

    def _tell(self, effect: fx.Effect) -> None:
        """What needs no answer."""
        match effect:
            case fx.PublishCheckpoint():
                self._questions.publish(effect)
            case fx.NoteRelease():
                self._questions.note_release(effect)
            case fx.Refused(record_id):
                self._questions.refused(record_id)
            case fx.Stop():
                self._questions.stopped(effect)
            case _:
                raise AssertionError(effect)

    def _spawn(self, coroutine: Coroutine[None, None, None], name: str) -> None:
        assert self._tasks is not None, "the driver runs"
        self._tasks.create_task(coroutine, name=name)

    async def _attend(self, effect: fx.Check) -> None:
        """Fetch what is missing of a proposal, then let the worker check it in its turn."""
        await self._questions.attend(effect)
        self._work.put_nowait(effect)

    async def _answer(self, question: Awaitable[ev.Event]) -> None:
        self.put(await question)

    async def _answer_in_order(self) -> None:
        while True:
            effect = await self._work.get()
            match effect:
                case fx.Build():
                    for event in await self._questions.build(effect):
                        self.put(event)
                case fx.Check():
                    self.put(await self._questions.check(effect))
                case fx.Execute():
                    self.put(await self._questions.execute(effect))
                case fx.Store():
                    for event in await self._questions.store(effect):
                        self.put(event)
                case fx.KeepTranscript() | fx.KeepEvidence() | fx.ProveRetired():
                    await self._keep(effect)
                case _:
                    raise AssertionError(effect)

    async def _keep(self, effect: fx.KeepTranscript | fx.KeepEvidence | fx.ProveRetired) -> None:
        """What is kept beside the log for ever."""
        match effect:
            case fx.KeepTranscript():
                await self._questions.keep_transcript(effect)
            case fx.KeepEvidence():
                await self._questions.keep_evidence(effect)
            case fx.ProveRetired():
                await self._questions.prove_retired(effect)


async def _finish_in_thread(write: Callable[[T], object], what: T) -> None:
    """Write in a thread, to the end even when cancelled: the file is closed afterwards, and its number used again."""
    writing = asyncio.ensure_future(asyncio.to_thread(write, what))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait((writing,))
        raise


def first_failure(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first failure inside nested groups: the others followed from it."""
    first = failures.exceptions[0]
    return first_failure(first) if isinstance(first, BaseExceptionGroup) else first
