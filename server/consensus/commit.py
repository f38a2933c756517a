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
from server.consensus.normal import execute
from server.consensus.restored import Boundary, Tip
from server.consensus.slot import Committed, Slot
from server.consensus.state import State
from server.record.canonical import b64u_encode


def on_result(s: State, event: Result) -> None:
    """The driver has executed a block: the COMMIT may leave, and a committed block be stored."""
    if s.slot.executing.pop(event.block_id, "absent") == "absent":
        return
    s.slot.results[event.block_id] = event


def send_commit(s: State) -> None:
    """Send COMMIT with EXECUTED once the block prepared in this view is executed; its certificate is durable."""
    prepared = s.slot.prepared
    if prepared is None or s.phase != "normal" or prepared.view != s.view or s.slot.commit_sent is not None:
        return
    result = s.slot.results.get(prepared.block.block_id)
    if result is None:
        return execute(s, prepared.block)
    executed = sign_executed(s, s.height, result.size, result.root, result.state_digest)
    s.slot.commit_sent = CommitMessage(prepared.commit, executed)
    s.slot.commits[s.config.me] = prepared.commit
    s.slot.executed[s.config.me] = executed
    s.send(s.slot.commit_sent)


def sign_executed(s: State, height: int, size: int, root: bytes, state_digest: str) -> Signed[Executed]:
    """State what execution gave. It binds nobody: after a repair it may be said anew."""
    return s.sign(
        Executed(
            epoch=s.config.epoch,
            height=height,
            root=b64u_encode(root),
            sender=s.config.me,
            size=size,
            state_digest=state_digest,
        )
    )


def on_commit(s: State, message: CommitMessage) -> None:
    """A COMMIT. Kept when it is for the height in flight, signed by a member of this epoch, and of a later view than
    the sender's last one. It counts in whatever view it was given (consensus.md 2.4)."""
    body = message.commit.body
    if body.height == s.height:
        known = s.slot.commits.get(body.sender)
        if known is None or known.body.view < body.view:
            if s.certifier.signed(message.commit):
                s.slot.commits[body.sender] = message.commit
            else:
                s.count("bad_signature")
    on_executed(s, message.executed)


def on_executed(s: State, message: Signed[Executed]) -> None:
    """What a peer's execution gave, for the height in flight or the tip. The first of each sender counts."""
    body = message.body
    table = {s.height: s.slot.executed, s.tip.height: s.executed}.get(body.height)
    if table is None or body.sender in table or body.sender == s.config.me:
        return
    if not s.certifier.signed(message):
        return s.count("bad_signature")
    table[body.sender] = message
    if table is s.executed:
        tip = s.tip
        stop_if_diverged(s, table, (tip.size, b64u_encode(tip.root), tip.state_digest))


def commit_if_quorum(s: State) -> None:
    """PBFT 4.2, committed-local: a quorum of COMMITs of one view for a block that is held and extends the tip."""
    if s.slot.committed is not None or s.phase == "stopped":
        return
    certified = _certified(s.slot, s.config.quorum)
    if certified is None:
        return
    block = s.slot.blocks[certified[0].body.block_id]
    if block.header.prev != s.tip.block_id:
        return s.stop(
            "fork", f"block {block.height} {block.block_id} is committed by a quorum, but follows another chain"
        )
    body = certified[0].body
    s.slot.committed = Committed(block, pack_certificate(certified), body.view, body.new_view)


def _certified(slot: Slot, quorum: int) -> list[Signed[Commit]] | None:
    """COMMITs of a quorum of distinct senders for one block held, in one view."""
    for vote in slot.commits.values():
        if vote.body.block_id in slot.blocks:
            votes = slot.committers(vote.body.view, vote.body.block_id)
            if len(votes) >= quorum:
                return votes
    return None


def store_committed(s: State) -> None:
    """Execute the committed block, compare with what a quorum of others executed, and have it stored."""
    committed = s.slot.committed
    if committed is None or s.slot.storing or s.phase == "stopped":
        return
    result = s.slot.results.get(committed.block.block_id)
    if result is None:
        return execute(s, committed.block)
    mine = (result.size, b64u_encode(result.root), result.state_digest)
    if stop_if_diverged(s, s.slot.executed, mine):
        return
    s.slot.storing = True
    s.emit(Store(committed.block, committed.certificate, committed.view, committed.new_view))


def stop_if_diverged(s: State, table: Mapping[str, Signed[Executed]], mine: tuple[int, str, str]) -> bool:
    """Stop when a quorum of others agree on another state than the own (decisions 6)."""
    others = [
        (message.body.size, message.body.root, message.body.state_digest)
        for sender, message in table.items()
        if sender != s.config.me
    ]
    for state in others:
        if state != mine and others.count(state) >= s.config.quorum:
            detail = f"a quorum executed to size {state[0]} root {state[1]}, this node to {mine[0]} {mine[1]}"
            s.stop("diverged", detail + ": its execution differs, or it was shown another chain")
            return True
    return False


def on_stored(s: State, event: Stored) -> None:
    """The committed block is durable: it is the tip, and the next height begins."""
    committed, slot = s.slot.committed, s.slot
    if committed is None or not slot.storing or event.height != s.height:
        return
    block, result = committed.block, slot.results[committed.block.block_id]
    s.tip = Tip(block.height, block.block_id, block.header.time_ms, result.size, result.root, result.state_digest)
    s.tip_certificate = committed.certificate
    s.executed = slot.executed
    s.slot = Slot()
    s.pool.remove(event.record_ids)
    s.suspicion, s.backoff, s.progress_ms = None, 0, s.now_ms
    s.suspects.clear()
    s.extend(Boundary(block.height, block.block_id, result.size, result.root))
    s.count("blocks")
