"""Broken protocols II: what is believed without proof, what does not bind a block, what nobody waits for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from server.consensus import (
    accusation,
    commit,
    cosigning,
    evidence,
    journal_entries,
    normal,
    replica,
    status,
    sync,
    view_change,
)
from server.consensus.certificates import Certifier, pack_certificate
from server.consensus.checkpoints import Checkpoints
from server.consensus.effects import Entry, PublishCheckpoint
from server.consensus.messages import TYPES, Commit, NewViewMessage, Prepare, Signed
from server.consensus.select import Selection, select
from server.consensus.state import State
from tests.simulation import node
from tests.simulation.keyring import HashKeyring
from tests.simulation.mutant import Mutant, Patch
from tests.simulation.options import Options, swarm
from tests.simulation.small import SmallApplication


def _with(liar: str, nodes: int = 4) -> Callable[[int], Options]:
    return partial(swarm, nodes, liar=liar)


def _calm(liar: str) -> Callable[[int], Options]:
    """No faults but the liar."""
    return partial(_alone, liar)


def _alone(liar: str, seed: int) -> Options:
    return Options(4, seed, liar=liar)


def _always(owner: Any, name: str, value: object) -> Patch:
    """A function that gives the same answer whatever it is asked."""
    return lambda patch: patch.setattr(owner, name, lambda *_: value)


# -- certificates


def _count_signatures(patch: pytest.MonkeyPatch) -> None:
    def holds(self: Any, statements: list[Signed[Any]], fits: Callable[[Any], bool]) -> bool:
        good = [each for each in statements if fits(each.body) and self.signed(each)]
        return len(good) >= int(self._config.quorum)

    patch.setattr(Certifier, "_holds", holds)


def _join_on_one(patch: pytest.MonkeyPatch) -> None:
    def suspected(self: Any, data: bytes, view: int) -> bool:
        found = self._read(_SUSPECT, data)
        return bool(found) and all(each.body.view >= view and self.signed(each) for each in found)

    def leave(state: State) -> None:
        wanted = [each for each in state.suspects.values() if each.body.view == state.view]
        if wanted:
            view_change.enter(state, state.view + 1, pack_certificate(wanted))

    patch.setattr(Certifier, "suspected", suspected)
    patch.setattr(view_change, "leave_if_suspected", leave)


_SUSPECT = next(shape for shape, name in TYPES.items() if name == "SUSPECT")


def _forget_epoch(patch: pytest.MonkeyPatch) -> None:
    def signed(self: Any, statement: Signed[Any]) -> bool:
        body = statement.body
        return bool(
            self._keyring.verify(body.sender, self._config.epoch, TYPES[type(body)], statement.raw, statement.signature)
        )

    patch.setattr(Certifier, "signed", signed)


def _forget_cluster(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(HashKeyring, "bound", lambda self, type, body: type.encode() + b"\n\n" + body)


def _believe_new_views(patch: pytest.MonkeyPatch) -> None:
    """Everything is looked at but what follows from the VIEW-CHANGEs."""

    def credulous(state: State, message: NewViewMessage) -> None:
        body = message.new_view.body
        patch.setattr(view_change, "select", lambda _: Selection(body.base_height, body.block_id))
        honest(state, message)
        patch.setattr(view_change, "select", choose)

    honest, choose = view_change.on_new_view, select
    patch.setitem(
        replica._MESSAGES, NewViewMessage, lambda state, _carrier, message: credulous(state, message)
    )  # fmt: skip


def _overflow(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(view_change, "VIEWS_AHEAD_MAX", 2**60)


# -- the place in the chain


def _extends(**ignored: bool) -> Patch:
    """`extends_tip` without one of its questions."""

    def patched(patch: pytest.MonkeyPatch) -> None:
        def extends(state: State, block: Any) -> bool:
            header, tip = block.header, state.tip
            return all(
                (
                    header.height == tip.height + 1,
                    ignored.get("prev", False) or header.prev == tip.block_id,
                    header.epoch == state.config.epoch,
                    ignored.get("time_ms", False) or header.time_ms > tip.time_ms,
                    ignored.get("state", False) or header.state_digest_prev == tip.state_digest,
                )
            )

        patch.setattr(normal, "extends_tip", extends)
        patch.setattr(view_change, "extends_tip", extends)

    return patched


def unasked(*modules: Any) -> Patch:
    """Nobody asks in these modules whether a block follows the own tip.

    Where a liar is known its votes do not count, and there is nothing to follow: here they count all the same, and
    nobody asks about a fork of older blocks.
    """

    def disregard(state: State, culprit: str) -> None:
        state.culprits[culprit] = None

    def patched(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(accusation, "disregard", disregard)
        patch.setattr(accusation, "voter_of", lambda message: "")
        patch.setattr(view_change, "stop_if_forked", lambda state, height, certified: False)
        patch.setattr(sync, "stop_if_forked", lambda state, height, certified: False)
        patch.setattr(status, "ask_for_proof_of_fork", lambda state, sender, height, tip: None)
        for module in modules:
            patch.setattr(module, "follows_tip", lambda state, block: True)

    return patched


def _believe_clocks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(node, "TIMEOUTS", replace(node.TIMEOUTS, clock_skew_ms=10**12))


# -- checkpoints and evidence


def _seal_early(patch: pytest.MonkeyPatch) -> None:
    publish = Checkpoints._publish

    def early(self: Any, size: int) -> list[PublishCheckpoint]:
        found = publish(self, size)
        return [
            PublishCheckpoint(each.size, each.root, each.lines, len(each.lines) >= len(self._config.members) - 1)
            for each in found
        ]

    patch.setattr(Checkpoints, "_publish", early)


def _blame_naively(patch: pytest.MonkeyPatch) -> None:
    """consensus.md 1.3 H1: two COMMITs of one member at one height are held to be a lie, whatever their views."""
    honest = evidence.offence_of

    def naive(first: Any, second: Any) -> Any:
        votes = isinstance(first, Prepare | Commit) and isinstance(second, Prepare | Commit)
        if votes and first.sender == second.sender and first.height == second.height:
            return "double_vote" if first.block_id != second.block_id else None
        return honest(first, second)

    patch.setattr(evidence, "offence_of", naive)
    patch.setattr(accusation, "observe", _observer())


def _observer() -> Callable[[State, Any], None]:
    """`observe` that compares a vote with every other vote of its height, as the naive rule would."""
    votes: dict[tuple[str, int], list[Signed[Any]]] = {}

    def observe(state: State, message: Any) -> None:
        for statement in accusation.statements_of(message):
            if isinstance(statement.body, Commit) and state.certifier.signed(statement):
                known = votes.setdefault((statement.body.sender, statement.body.height), [])
                for other in known:
                    found = evidence.accuse(statement, other)
                    if found is not None:
                        accusation.convict(state, found)
                known.append(statement)

    return observe


# -- restarts


def _forget_certificates(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(journal_entries._RESTORE, Entry.PREPARED, lambda state, entry: None)


# -- patience


def _locked_by_commit(patch: pytest.MonkeyPatch) -> None:
    """neo dBFT 2.0: who has sent COMMIT leaves its view no more."""
    enter = view_change.enter

    def locked(state: State, view: int, suspects: bytes) -> None:
        if state.slot.commit_sent is None:
            enter(state, view, suspects)

    patch.setattr(view_change, "enter", locked)
    patch.setitem(
        replica._MESSAGES,
        NewViewMessage,
        lambda state, _carrier, message: (
            view_change.on_new_view(state, message) if state.slot.commit_sent is None else None
        ),
    )


def _forget_timers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(normal, "_has_work", lambda state: bool(len(state.pool)))


def _order_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        SmallApplication, "would_include", lambda self, record, now_ms: now_ms < self.expires_ms(record)
    )  # fmt: skip


def _lone_commits(seed: int) -> Options:
    return Options(3, seed, lone=0.1, mute=0.8, crash=0.02)


def _cut_twins(seed: int) -> Options:
    """A twin on either side of cuts, and no other fault."""
    return Options(3, seed, twins=True, liar="twin", partition=0.3)


_NO_RESENDING = _always(status, "_send_view", None)
_THREE = partial(swarm, 3)
BROKEN_PROOFS = (
    Mutant("signatures are counted, not signers", _count_signatures, _with("signs-often"), ("certificate", "new-view")),
    Mutant("one SUSPECT is enough to leave a view", _join_on_one, _with("spams-views"), ("certificate",)),
    Mutant(
        "signatures are not looked at",
        _always(Certifier, "signed", True),
        _with("impersonates"),
        ("certificate", "new-view", "evidence"),
    ),
    Mutant("the epoch is not bound", _forget_epoch, _with("stranger"), ("certificate", "new-view", "evidence")),
    Mutant("the cluster is not bound", _forget_cluster, _with("stranger"), ("certificate", "new-view", "evidence")),
    Mutant(
        "a VIEW-CHANGE is believed",
        _always(view_change, "is_valid_change", True),
        _with("spams-views"),
        ("certificate", "view"),
    ),
    Mutant("a NEW-VIEW is believed, not recomputed", _believe_new_views, _with("false-new-view"), ("new-view",)),
    Mutant("a SUSPECT of any view is kept", _overflow, _with("spams-views"), ("memory",)),
    Mutant("the predecessor is not asked for in a vote", _extends(prev=True), _with("bad-headers"), ("vote",)),
    Mutant("the time need not grow", _extends(time_ms=True), _with("wrong-time"), ("vote",)),
    Mutant("the state digest is not compared", _extends(state=True), _with("bad-headers"), ("vote",)),
    Mutant(
        "the predecessor is not asked for in a commit",
        unasked(commit),
        _cut_twins,
        ("chain",),
        range(70, 130),
    ),
    Mutant("a proposal may be of any time", _believe_clocks, _calm("wrong-time"), ("vote",)),
    Mutant(
        "the block of a NEW-VIEW is proposed as another",
        _always(normal, "named_block", ""),
        _lone_commits,
        ("lock", "agreement"),
    ),
    Mutant(
        "a cosignature without agreement on the state",
        lambda patch: patch.setattr(cosigning, "_agreeing", lambda state: list(state.config.members)),
        _with("false-state"),
        ("cosign",),
    ),
    Mutant("a seal with one signer too few", _seal_early, _THREE, ("checkpoint",)),
    Mutant(
        "nobody looks for liars",
        lambda patch: patch.setattr(accusation, "observe", lambda state, message: None),
        partial(swarm, 3, twins=True),
        ("culprit",),
    ),
    Mutant(
        "two COMMITs of different views are held to be a lie",
        _blame_naively,
        partial(swarm, 3, twins=True),
        ("evidence",),
    ),
    Mutant("who has sent COMMIT does not leave the view", _locked_by_commit, partial(swarm, 4), ("liveness",)),
    Mutant("VIEW-CHANGE and NEW-VIEW are sent once only", _NO_RESENDING, _THREE, ("liveness",)),
    Mutant("a due timer is no work", _forget_timers, _THREE, ("liveness",)),
    Mutant(
        "a restart forgets what was prepared",
        _forget_certificates,
        _THREE,
        ("restart", "equivocation", "agreement", "evidence"),
    ),
    Mutant("a record may be ordered again", _order_again, _THREE, ("exactly-once",)),
)
