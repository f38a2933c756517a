"""When a block boundary is cosigned (consensus.md 1.4; decisions 6 and 7), and what is done with cosignatures.

A cosignature is shown to clients and binds for ever. It is given only for what is committed, executed and stored here,
what a quorum agrees on, and never below what was signed before; the signer's file is durable before it leaves.
"""

from __future__ import annotations

from server.consensus.checkpoints import Line
from server.consensus.commit import sign_executed
from server.consensus.effects import PersistSigner, Truncate
from server.consensus.journal_entries import live_entries
from server.consensus.messages import Cosign
from server.consensus.restored import SignerMark
from server.consensus.state import State
from server.record.canonical import b64u_decode, b64u_encode


def cosign_if_agreed(state: State) -> None:
    """Cosign the tip when EXECUTED or cosignatures of a quorum of distinct members, the own among them, agree.

    While fetched blocks wait, boundaries are skipped: only a replica that catches up does that (decisions 7).
    """
    tip, mark = state.tip, state.signer
    if (
        tip.size < max(1, state.config.first_size)
        or state.phase == "stopped"
        or state.sync.queue
        or state.is_greeting
        or state.config.observes
    ):
        return
    if mark is not None and (mark.size >= tip.size or mark.epoch > state.config.epoch):
        return _repeat_line(state, mark)
    say_executed(state)
    if len(_agreeing(state)) < state.config.quorum:
        return
    state.signer = SignerMark(
        state.config.epoch, tip.size, tip.root, max(state.wall_ms // 1000, mark.time_s if mark else 0)
    )
    state.emit(PersistSigner(state.signer.epoch, state.signer.size, state.signer.root, state.signer.time_s))
    state.send(take_own_line(state))


def _repeat_line(state: State, mark: SignerMark) -> None:
    """The ledger has come again to where the mark is: say the line once more, nobody may have kept it."""
    tip, me = state.tip, state.config.me
    if mark.size != tip.size or mark.epoch != state.config.epoch or state.checkpoints.line(me, mark.size) is not None:
        return
    if mark.root != tip.root:
        return state.stop("diverged", f"the ledger's root at size {tip.size} is not the one that was cosigned")
    state.send(take_own_line(state))


def say_executed(state: State) -> None:
    """State the own execution of the tip, if that was not done with a COMMIT: after a restart, or when synchronised."""
    if state.tip.height and state.config.me not in state.executed and not state.config.observes:
        tip = state.tip
        state.executed[state.config.me] = sign_executed(state, tip.height, tip.size, tip.root, tip.state_digest)


def _agreeing(state: State) -> list[str]:
    tip = state.tip
    wanted = (tip.size, b64u_encode(tip.root), tip.state_digest)
    by_word = [
        sender
        for sender, message in state.executed.items()
        if (message.body.size, message.body.root, message.body.state_digest) == wanted
    ]
    return list(dict.fromkeys([state.config.me, *by_word, *state.checkpoints.agreeing(tip.size, tip.root)]))


def take_own_line(state: State) -> Cosign:
    """The line of the signer's mark. The same mark gives the same line: after a restart it is repeated, not redone."""
    assert state.signer is not None
    mark = state.signer
    text = state.keyring.cosign(mark.size, mark.root, mark.time_s)
    publish(state, state.config.me, Line(mark.size, mark.root, text))
    return cosign_message(state.config.me, Line(mark.size, mark.root, text))


def cosign_message(member: str, line: Line) -> Cosign:
    """A line as it is sent, by its member or by anyone who passes it on."""
    return Cosign(line=line.text, member=member, root=b64u_encode(line.root), size=line.size)


def on_cosign(state: State, message: Cosign) -> None:
    """A cosignature. Kept when a member's line verifies; the newest of each member only. If a quorum of others signed
    another root at an own boundary, this replica's execution has diverged: stop. Smaller trees than those of this epoch
    say nothing here: retired keys signed them, and after a fork some of another branch (D32)."""
    member = message.member
    if message.size < state.config.first_size:
        return None
    if member == state.config.me:
        return _recall(state, message)
    if member not in state.config.members or state.checkpoints.holds(member, message.size):
        return
    root = b64u_decode(message.root, 32)
    if not state.keyring.verify_cosignature(member, message.size, root, message.line):
        return state.count("bad_signature")
    publish(state, member, Line(message.size, root, message.line))
    stop_if_contradicted(state, message.size)


def _recall(state: State, message: Cosign) -> None:
    """A peer shows a line of this member. One above its mark was signed before its folder was put back: the mark is
    taken over, so that nothing is signed before the ledger has come that far again (consensus.md H10, 2.8)."""
    mark, root = state.signer, b64u_decode(message.root, 32)
    if mark is not None and message.size <= mark.size:
        return
    if not state.keyring.verify_cosignature(state.config.me, message.size, root, message.line):
        return state.count("bad_signature")
    state.signer = SignerMark(state.config.epoch, message.size, root, max(state.wall_ms // 1000, 0))
    state.emit(PersistSigner(state.signer.epoch, state.signer.size, state.signer.root, state.signer.time_s))
    state.count("recalled")


def stop_if_contradicted(state: State, size: int) -> None:
    """Stop when a quorum of others cosigned another root at this own boundary (decisions 6)."""
    if state.checkpoints.contradicted(size):
        state.stop("diverged", f"a quorum cosigned another root at size {size} than this node computed")


def publish(state: State, member: str, line: Line) -> None:
    """Keep a line; tell the driver when a checkpoint is more certain by it; drop journal entries it made needless."""
    for publication in state.checkpoints.note(member, line):
        state.emit(publication)
        height = state.checkpoints.height_of(publication.size)
        if _may_truncate(state, height):
            live = live_entries(state)
            state.truncated_height, state.journal_bytes = height, sum(len(entry.data) for entry in live)
            state.emit(Truncate(live))


def _may_truncate(state: State, height: int) -> bool:
    """Has a quorum cosigned past so many heights, or so many bytes, that a rewrite is worth its syncs?"""
    config, heights = state.config, height - state.truncated_height
    return heights >= config.truncate_every or (heights > 0 and state.journal_bytes >= config.truncate_bytes)
