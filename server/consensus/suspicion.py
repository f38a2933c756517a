"""When a replica loses patience with its view (PBFT 4.5.2; consensus.md 2.5; decisions 4 and 22).

It waits only for what it would itself do: records it admitted and that have not expired, a vote it cast, a view that is
not installed, a due timer, a seal that a row waits for. A crafted record therefore never drives a view change.
"""

from __future__ import annotations

from typing import Literal

from server.consensus.state import State

Reason = Literal["record", "vote", "view", "timer", "seal", "evidence"]


def reason_to_suspect(state: State) -> Reason | None:
    """Why the view makes no progress, or None while there is still patience."""
    if _is_starving(state):
        return "record"
    if state.now_ms - state.progress_ms < patience_ms(state):
        return None
    if state.phase == "changing":
        return "view"
    return "vote" if _waits_for_vote(state) else _reason_for_work(state)


def _waits_for_vote(state: State) -> bool:
    """Whether a vote was cast, or a block named by the NEW-VIEW, and nothing came of it."""
    if state.slot.vote is not None and _overdue(state, state.slot.vote.since_ms):
        return True
    return (
        state.installed is not None
        and bool(state.installed.body.block_id)
        and state.installed.body.base_height == state.tip.height
    )


def _reason_for_work(state: State) -> Reason | None:
    oldest_ms = state.pool.oldest_ms
    if oldest_ms is not None and _overdue(state, oldest_ms):
        return "record"
    due_ms = state.agenda.due_ms
    if due_ms is not None and state.wall_ms > due_ms + state.config.timeouts.timer_grace_ms:
        return "timer"
    if state.seal_since_ms is not None and _overdue(state, state.seal_since_ms):
        return "seal"
    if state.evidence_since_ms is not None and _overdue(state, state.evidence_since_ms):
        return "evidence"
    return None


def patience_ms(state: State) -> int:
    """T * 2^k: k counts view changes since the last commit."""
    timeouts = state.config.timeouts
    return timeouts.suspicion_ms << min(state.backoff, timeouts.backoff_max)


def seal_is_wanted(state: State) -> bool:
    """Whether a row waits for signatures that are already there but not yet in the chain: everybody's (decisions 7),
    or a quorum's once everybody's were waited for long enough (decisions 21)."""
    awaited, sealed = state.agenda.awaiting_size, state.checkpoints.sealed_size
    is_sealed = awaited is not None and sealed >= awaited and sealed > state.agenda.sealed_size
    return is_sealed or _is_late(state)


def _is_late(state: State) -> bool:
    late_ms, index = state.agenda.late_ms, state.agenda.late_index
    return late_ms is not None and state.wall_ms >= late_ms and state.checkpoints.committed_size > index


def evidence_is_wanted(state: State) -> bool:
    """Whether a culprit is known whom no ordered evidence names, or a retired key that signs."""
    is_named = (culprit in state.agenda.barred for culprit in state.culprits)
    return not (all(is_named) and all(key in state.agenda.retired for key in state.retired))


def note_wants(state: State) -> None:
    """Remember since when a seal is wanted, and since when evidence is."""
    state.seal_since_ms = _since(state, state.seal_since_ms, wanted=seal_is_wanted(state))
    state.evidence_since_ms = _since(state, state.evidence_since_ms, wanted=evidence_is_wanted(state))


def _since(state: State, since_ms: int | None, *, wanted: bool) -> int | None:
    if not wanted:
        return None
    return state.now_ms if since_ms is None else since_ms


def _is_starving(state: State) -> bool:
    """Whether the primary has passed over a record, though it may order others: censorship, or a lost record."""
    oldest_ms = state.pool.oldest_ms
    if oldest_ms is None or state.phase != "normal":
        return False
    return state.now_ms - max(oldest_ms, state.view_since_ms) >= max(
        state.config.timeouts.starvation_ms, patience_ms(state)
    )


def _overdue(state: State, since_ms: int) -> bool:
    return state.now_ms - since_ms >= patience_ms(state)
