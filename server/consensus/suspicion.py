"""When a replica loses patience with its view (PBFT 4.5.2; consensus.md 2.5; decisions 4 and 22).

It waits only for what it would itself do: records it admitted and that have not expired, a vote it cast, a view that is
not installed, a due timer, a seal that a row waits for. A crafted record therefore never drives a view change.
"""

from __future__ import annotations

from typing import Literal

from server.consensus.state import State

Reason = Literal["record", "vote", "view", "timer", "seal"]


def reason_to_suspect(s: State) -> Reason | None:
    """Why the view makes no progress, or None while there is still patience."""
    if _is_starving(s):
        return "record"
    if s.now_ms - s.progress_ms < patience_ms(s):
        return None
    if s.phase == "changing":
        return "view"
    return "vote" if _waits_for_vote(s) else _reason_for_work(s)


def _waits_for_vote(s: State) -> bool:
    """Whether a vote was cast, or a block named by the NEW-VIEW, and nothing came of it."""
    if s.slot.vote is not None and _overdue(s, s.slot.vote.since_ms):
        return True
    return s.installed is not None and bool(s.installed.body.block_id) and s.installed.body.base_height == s.tip.height


def _reason_for_work(s: State) -> Reason | None:
    oldest_ms = s.pool.oldest_ms
    if oldest_ms is not None and _overdue(s, oldest_ms):
        return "record"
    due_ms = s.agenda.due_ms
    if due_ms is not None and s.now_ms > due_ms + s.config.timeouts.timer_grace_ms:
        return "timer"
    if s.seal_since_ms is not None and _overdue(s, s.seal_since_ms):
        return "seal"
    return None


def patience_ms(s: State) -> int:
    """T * 2^k: k counts view changes since the last commit."""
    timeouts = s.config.timeouts
    return timeouts.suspicion_ms << min(s.backoff, timeouts.backoff_max)


def seal_is_wanted(s: State) -> bool:
    """Whether a row waits for a seal that is already there but not yet in the chain (decisions 7)."""
    awaited, sealed = s.agenda.awaiting_size, s.checkpoints.sealed_size
    return awaited is not None and sealed >= awaited and sealed > s.agenda.sealed_size


def note_seal(s: State) -> None:
    """Remember since when a seal is wanted."""
    if not seal_is_wanted(s):
        s.seal_since_ms = None
    elif s.seal_since_ms is None:
        s.seal_since_ms = s.now_ms


def _is_starving(s: State) -> bool:
    """Whether the primary has passed over a record, though it may order others: censorship, or a lost record."""
    oldest_ms = s.pool.oldest_ms
    if oldest_ms is None or s.phase != "normal":
        return False
    return s.now_ms - max(oldest_ms, s.view_since_ms) >= max(s.config.timeouts.starvation_ms, patience_ms(s))


def _overdue(s: State, since_ms: int) -> bool:
    return s.now_ms - since_ms >= patience_ms(s)
