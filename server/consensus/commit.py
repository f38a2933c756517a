"""From PREPARED to durable: execute, COMMIT with EXECUTED, commit, store (PBFT 4.2; decisions 6).

A certified block that does not extend the own tip is a fork, never a commit (consensus.md 1.3 H3).
"""

from __future__ import annotations

from collections.abc import Mapping

from server.consensus.certificates import pack_certificate
from server.consensus.effects import Store
from server.consensus.events import Executed as Result
from server.consensus.events import Stored
from server.consensus.messages import Commit, CommitMessage, Executed, Signed
from server.consensus.normal import execute, follows_tip
from server.consensus.restored import Boundary, Tip
from server.consensus.slot import Committed, Slot
from server.consensus.state import State
from server.record.canonical import b64u_encode


def on_result(state: State, event: Result) -> None:
    """The driver has executed a block: the COMMIT may leave, and a committed block be stored."""
    if state.slot.executing.pop(event.block_id, "absent") == "absent":
        return
    state.slot.results[event.block_id] = event


def send_commit(state: State) -> None:
    """Send COMMIT with EXECUTED once the block prepared in this view is executed; its certificate is durable."""
    prepared = state.slot.prepared
    if prepared is None or state.phase != "normal" or prepared.view != state.view or state.slot.commit_sent is not None:
        return
    result = state.slot.results.get(prepared.block.block_id)
    if result is None:
        return execute(state, prepared.block)
    executed = sign_executed(state, state.height, result.size, result.root, result.state_digest)
    state.slot.commit_sent = CommitMessage(prepared.commit, executed)
    state.slot.commits[state.config.me] = prepared.commit
    state.slot.executed[state.config.me] = executed
    state.send(state.slot.commit_sent)


def sign_executed(state: State, height: int, size: int, root: bytes, state_digest: str) -> Signed[Executed]:
    """State what execution gave. It binds nobody: after a repair it may be said anew."""
    return state.sign(
        Executed(
            epoch=state.config.epoch,
            height=height,
            root=b64u_encode(root),
            sender=state.config.me,
            size=size,
            state_digest=state_digest,
        )
    )


def on_commit(state: State, message: CommitMessage) -> None:
    """A COMMIT. Kept when it is for the height in flight, signed by a member of this epoch, and of a later view than
    the sender's last one. It counts in whatever view it was given (consensus.md 2.4)."""
    body = message.commit.body
    if body.height == state.height:
        known = state.slot.commits.get(body.sender)
        if known is None or known.body.view < body.view:
            if state.certifier.signed(message.commit):
                state.slot.commits[body.sender] = message.commit
            else:
                state.count("bad_signature")
    on_executed(state, message.executed)


def on_executed(state: State, message: Signed[Executed]) -> None:
    """What a peer's execution gave, for the height in flight or the tip. The first of each sender counts."""
    body = message.body
    table = {state.height: state.slot.executed, state.tip.height: state.executed}.get(body.height)
    if table is None or body.sender in table or body.sender == state.config.me:
        return
    if not state.certifier.signed(message):
        return state.count("bad_signature")
    table[body.sender] = message
    if table is state.executed:
        tip = state.tip
        stop_if_diverged(state, table, (tip.size, b64u_encode(tip.root), tip.state_digest))


def commit_if_quorum(state: State) -> None:
    """PBFT 4.2, committed-local: a quorum of COMMITs of one view for a block that is held and extends the tip."""
    if state.slot.committed is not None or state.phase == "stopped":
        return
    certified = _certified(state.slot, state.config.quorum)
    if certified is None:
        return
    block = state.slot.blocks[certified[0].body.block_id]
    if state.config.abandons(block.height, block.block_id):
        return state.count("abandoned")
    if not follows_tip(state, block):
        return state.stop(
            "fork", f"block {block.height} {block.block_id} is committed by a quorum, but follows another chain"
        )
    body = certified[0].body
    state.slot.committed = Committed(block, pack_certificate(certified), body.view, body.new_view)


def _certified(slot: Slot, quorum: int) -> list[Signed[Commit]] | None:
    """COMMITs of a quorum of distinct senders for one block held, in one view."""
    for vote in slot.commits.values():
        if vote.body.block_id in slot.blocks:
            votes = slot.committers(vote.body.view, vote.body.block_id)
            if len(votes) >= quorum:
                return votes
    return None


def store_committed(state: State) -> None:
    """Execute the committed block, compare with what a quorum of others executed, and have it stored."""
    committed = state.slot.committed
    if committed is None or state.slot.storing or state.phase == "stopped":
        return
    result = state.slot.results.get(committed.block.block_id)
    if result is None:
        return execute(state, committed.block)
    mine = (result.size, b64u_encode(result.root), result.state_digest)
    if stop_if_diverged(state, state.slot.executed, mine):
        return
    state.slot.storing = True
    state.emit(Store(committed.block, committed.certificate, committed.view, committed.new_view))


def stop_if_diverged(state: State, table: Mapping[str, Signed[Executed]], mine: tuple[int, str, str]) -> bool:
    """Stop when a quorum of others agree on another state than the own (decisions 6)."""
    others = [
        (message.body.size, message.body.root, message.body.state_digest)
        for sender, message in table.items()
        if sender != state.config.me
    ]
    for theirs in others:
        if theirs != mine and others.count(theirs) >= state.config.quorum:
            detail = f"a quorum executed to size {theirs[0]} root {theirs[1]}, this node to {mine[0]} {mine[1]}"
            state.stop("diverged", detail + ": its execution differs, or it was shown another chain")
            return True
    return False


def on_stored(state: State, event: Stored) -> None:
    """The committed block is durable: it is the tip, and the next height begins."""
    committed, slot = state.slot.committed, state.slot
    if committed is None or not slot.storing or event.height != state.height:
        return
    block, result = committed.block, slot.results[committed.block.block_id]
    state.tip = Tip(block.height, block.block_id, block.header.time_ms, result.size, result.root, result.state_digest)
    state.tip_certificate = committed.certificate
    state.executed = slot.executed
    state.slot = state.later.pop(state.height, Slot())
    state.pool.remove(event.record_ids)
    state.suspicion, state.backoff, state.progress_ms = None, 0, state.now_ms
    state.suspects.clear()
    state.extend(Boundary(block.height, block.block_id, result.size, result.root))
    state.count("blocks")
    if event.ends_epoch:
        state.stop("epoch", f"epoch {state.config.epoch + 1} begins after block {block.height}")
