"""Runs of three replicas told line by line. `python -m tests.consensus.stories` writes them to `transcripts/`.

They are to be read: what a replica hears, journals, says, stores and shows, in that order. Identifiers are cut short;
STATUS is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.consensus import effects
from server.consensus.frames import frame_name
from tests.consensus.cluster import START_MS, Bench, Seat, both, only, without
from tests.simulation.transcript import describe

FOLDER = Path(__file__).parent / "transcripts"


class ToldBench(Bench):
    """Mutable. A bench that tells what happens."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        super().__init__(3)
        self.lines.clear()

    def say(self, line: str = "") -> None:
        """A line of the story."""
        self.lines.append(line)

    def tell(self, member: str, what: str) -> None:
        """Something that a member does."""
        self.lines.append(f"{self.now - START_MS:>5} ms  {member}  {what}")

    def deliver_one(self, keep: Callable[[str, str, str], bool] = lambda source, target, name: True) -> None:
        """Deliver the oldest frame, or lose it, and tell it."""
        source, target, frame = self.wire[0]
        if frame_name(frame) != "status":
            heard = keep(source, target, frame_name(frame))
            lost = "" if heard else "   ... lost"
            self.tell(target, f"    <- {source}  {describe(frame)}{lost}")
        super().deliver_one(keep)

    def _perform(self, seat: Seat, effect: effects.Effect) -> None:
        what = _told(effect)
        if what:
            self.tell(seat.member, what)
        super()._perform(seat, effect)


def _told(effect: effects.Effect) -> str:
    teller = _TELLERS.get(type(effect))
    return teller(effect) if teller is not None else ""


def _tell_send(effect: effects.Send) -> str:
    return "" if frame_name(effect.frame) == "status" else f"-> {effect.to or 'all':<3}    {describe(effect.frame)}"


def _tell_persist(effect: effects.Persist) -> str:
    return "journals  " + ", ".join(entry.type.name.replace("_", "-") for entry in effect.entries)


def _tell_store(effect: effects.Store) -> str:
    return f"stores    block {effect.block.height} {effect.block.block_id[:6]}, committed in view {effect.view}"


def _tell_checkpoint(effect: effects.PublishCheckpoint) -> str:
    grade = "sealed" if effect.sealed else "committed"
    return f"shows     size {effect.size} {grade}: {', '.join(member for member, _ in effect.lines)}"


_TELLERS: dict[type, Callable[[Any], str]] = {
    effects.Send: _tell_send,
    effects.Persist: _tell_persist,
    effects.PersistSigner: lambda effect: f"signer    size {effect.size}",
    effects.Build: lambda effect: f"builds    block {effect.height}",
    effects.Check: lambda effect: f"checks    block {effect.block.block_id[:6]}",
    effects.Execute: lambda effect: f"executes  block {effect.block.block_id[:6]}",
    effects.Store: _tell_store,
    effects.PublishCheckpoint: _tell_checkpoint,
    effects.Stop: lambda effect: f"STOPS     {effect.reason}: {effect.detail}",
}


def a_record_is_ordered() -> str:
    """Nothing is lost."""
    bench = ToldBench()
    bench.say("A resident's record reaches b. a leads view 0. Nothing is lost.")
    bench.say()
    bench.submit("b", "r1")
    bench.deliver()
    return "\n".join(bench.lines) + "\n"


def a_primary_stops_after_its_block_was_prepared() -> str:
    """The block may be committed somewhere, so the next view must keep it."""
    bench = ToldBench()
    bench.say("a leads view 0 and proposes. b prepares the block; its COMMIT is lost, and a falls silent.")
    bench.say("c has heard nothing at all. The block might be committed, so view 1 must keep it.")
    bench.say()
    bench.submit("a", "r1")
    bench.deliver(both(only("a", "b"), without("commit")))
    bench.say()
    bench.say("A second record reaches b; a does not answer any more. Patience ends.")
    bench.say()
    bench.submit("b", "r2")
    bench.deliver(only("b", "c"))
    bench.tick("b", "c", after_ms=1_100)
    bench.deliver(only("b", "c"))
    bench.say()
    bench.say("c asked b for the batch that the NEW-VIEW names. Block 1 is a's block, unchanged; r2 is in block 2.")
    bench.say("a comes back and catches up; its certificate says view 1.")
    bench.say()
    for _ in range(3):
        bench.tick(after_ms=250)
        bench.deliver()
    return "\n".join(bench.lines) + "\n"


def a_member_was_told_another_history() -> str:
    """HALT-FORK: a certified block that does not follow the own chain."""
    bench, other = ToldBench(), Bench(3)
    bench.say("c was cut off and shown another history by two members that lied. It comes back.")
    bench.say()
    bench.submit("a", "r1")
    bench.deliver(only("a", "b"))
    bench.submit("a", "r2")
    bench.deliver(only("a", "b"))
    other.submit("a", "what c was shown")
    other.deliver()
    bench.say()
    bench.say("c has stored its block 1. It asks for block 2 and sees that a quorum committed it on another block 1.")
    bench.say()
    bench.seats["c"].blocks = list(other["c"].blocks)
    bench.seats["c"].journal = list(other["c"].journal)
    bench.seats["c"].signer = other["c"].signer
    bench.restart("c")
    for _ in range(2):
        bench.tick(after_ms=300)
        bench.deliver(lambda source, target, name: name in ("status", "sync-request", "sync-reply"))
    return "\n".join(bench.lines) + "\n"


STORIES = (a_record_is_ordered, a_primary_stops_after_its_block_was_prepared, a_member_was_told_another_history)

if __name__ == "__main__":
    for story in STORIES:
        (FOLDER / f"{story.__name__}.txt").write_text(story(), encoding="utf-8")
