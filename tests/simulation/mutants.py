"""Broken protocols: each leaves out one rule of the core. The oracles must catch every one of them.

A seed count says little; what a simulation is worth is measured by what it catches (consensus.md 3.3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from server.consensus import (
    commit,
    cosigning,
    journal_entries,
    normal,
    replica,
    suspicion,
    sync,
    view_change,
)
from server.consensus.block import Block
from server.consensus.checkpoints import Line
from server.consensus.config import Config
from server.consensus.effects import JournalEntry, Send
from server.consensus.messages import NewViewMessage, Status
from server.consensus.select import Claim, Selection, select
from server.consensus.state import State
from tests.simulation.broken_proofs import BROKEN_PROOFS, unasked
from tests.simulation.disk import BARRIERS
from tests.simulation.mutant import Mutant
from tests.simulation.options import Options, swarm


def _quorum_minus_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Config, "quorum", property(lambda self: max(1, len(self.members) // 2)))


def _ignore_prepared(patch: pytest.MonkeyPatch) -> None:
    def forgetful(claims: Iterable[Claim]) -> Selection:
        return replace(select(claims), block_id="")

    patch.setattr(view_change, "select", forgetful)


def _forget_prepared(patch: pytest.MonkeyPatch) -> None:
    install = view_change.install

    def forgetful(state: State, message: NewViewMessage) -> None:
        state.slot.prepared = None
        install(state, message)

    patch.setattr(view_change, "install", forgetful)


def _forget_journal(patch: pytest.MonkeyPatch) -> None:
    def nothing(state: State, journal: tuple[JournalEntry, ...]) -> None:
        journal_entries.restore_entries(state, ())

    patch.setattr(replica, "restore_entries", nothing)


def _vote_twice(patch: pytest.MonkeyPatch) -> None:
    def always(state: State) -> bool:
        return state.is_primary and state.may_vote and not state.slot.prepared

    cast = normal.cast_vote

    def twice(state: State, block: Block) -> None:
        state.slot.vote = None
        cast(state, block)

    patch.setattr(normal, "may_propose", always)
    patch.setattr(normal, "cast_vote", twice)


def _never_suspect(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(suspicion, "reason_to_suspect", lambda state: None)


def _never_resend(patch: pytest.MonkeyPatch) -> None:
    def only_heights(state: State, sender: str, message: Any) -> None:
        sync.note_height(state, sender, message.height)

    patch.setitem(replica._MESSAGES, Status, only_heights)


def _send_before_persisting(patch: pytest.MonkeyPatch) -> None:
    step = replica.Replica.step

    def hasty(self: Any, now_ms: int, event: Any) -> list[Any]:
        effects = step(self, now_ms, event)
        return sorted(effects, key=lambda effect: not isinstance(effect, Send))

    patch.setattr(replica.Replica, "step", hasty)


def _cosign_backwards(patch: pytest.MonkeyPatch) -> None:
    def eager(state: State) -> None:
        committed = state.slot.committed
        if committed is not None and committed.block.block_id in state.slot.results:
            result = state.slot.results[committed.block.block_id]
            state.send(
                cosigning.cosign_message(
                    state.config.me,
                    Line(result.size, result.root, state.keyring.cosign(result.size, result.root, 1)),
                )
            )

    patch.setattr(cosigning, "cosign_if_agreed", eager)


def _commit_at_quorum_minus_one(patch: pytest.MonkeyPatch) -> None:
    certified = commit._certified
    patch.setattr(commit, "_certified", lambda slot, quorum: certified(slot, quorum - 1))


def _follow_anything(patch: pytest.MonkeyPatch) -> None:
    unasked(normal, commit, sync, view_change)(patch)


def _lone_commits(seed: int) -> Options:
    """One node alone knows of a committed block and falls silent; then votes are lost while views change."""
    return Options(3, seed, lone=0.1, mute=0.8)


THREE = partial(swarm, 3)
FOUR = partial(swarm, 4)
TWINS = partial(swarm, 3, twins=True)
MUTANTS = (
    *(
        Mutant(
            f"no sync of {barrier}",
            lambda patch: None,
            partial(swarm, 3, skip=frozenset([barrier])),
            ("output-commit",),
        )
        for barrier in BARRIERS
    ),
    Mutant("a quorum of half the members", _quorum_minus_one, FOUR, ("certificate", "new-view")),
    Mutant("a NEW-VIEW ignores prepared blocks", _ignore_prepared, _lone_commits, ("new-view",)),
    Mutant("a new view forgets the own prepared block", _forget_prepared, _lone_commits, ("agreement", "evidence")),
    Mutant("a restart forgets the journal", _forget_journal, THREE, ("equivocation", "restart")),
    Mutant("a primary votes twice in a view", _vote_twice, THREE, ("equivocation",)),
    Mutant("nobody suspects", _never_suspect, THREE, ("liveness",)),
    Mutant("nothing is sent again", _never_resend, THREE, ("liveness",)),
    Mutant("frames leave before the journal is written", _send_before_persisting, THREE, ("output-commit",)),
    Mutant("a cosignature before the block is stored", _cosign_backwards, THREE, ("output-commit",)),
    Mutant(
        "nobody asks whether a block follows the own tip", _follow_anything, TWINS, ("chain", "vote"), range(41, 141)
    ),
    Mutant("one COMMIT too few", _commit_at_quorum_minus_one, THREE, ("certificate",)),
    *BROKEN_PROOFS,
)
