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


def cosign_if_agreed(s: State) -> None:
    """Cosign the tip when EXECUTED or cosignatures of a quorum of distinct members, the own among them, agree.

    While fetched blocks wait, boundaries are skipped: only a replica that catches up does that (decisions 7).
    """
    tip, mark = s.tip, s.signer
    if tip.size == 0 or s.phase == "stopped" or s.sync.queue:
        return
    if mark is not None and (mark.size >= tip.size or mark.epoch > s.config.epoch):
        return
    say_executed(s)
    if len(_agreeing(s)) < s.config.quorum:
        return
    s.signer = SignerMark(s.config.epoch, tip.size, tip.root, max(s.now_ms // 1000, mark.time_s if mark else 0))
    s.emit(PersistSigner(s.signer.epoch, s.signer.size, s.signer.root, s.signer.time_s))
    s.send(take_own_line(s))


def say_executed(s: State) -> None:
    """State the own execution of the tip, if that was not done with a COMMIT: after a restart, or when synchronised."""
    if s.tip.height and s.config.me not in s.executed:
        tip = s.tip
        s.executed[s.config.me] = sign_executed(s, tip.height, tip.size, tip.root, tip.state_digest)


def _agreeing(s: State) -> list[str]:
    tip = s.tip
    state = (tip.size, b64u_encode(tip.root), tip.state_digest)
    by_word = [
        sender
        for sender, message in s.executed.items()
        if (message.body.size, message.body.root, message.body.state_digest) == state
    ]
    return list(dict.fromkeys([s.config.me, *by_word, *s.checkpoints.agreeing(tip.size, tip.root)]))


def take_own_line(s: State) -> Cosign:
    """The line of the signer's mark. The same mark gives the same line: after a restart it is repeated, not redone."""
    assert s.signer is not None
    mark = s.signer
    text = s.keyring.cosign(mark.size, mark.root, mark.time_s)
    publish(s, s.config.me, Line(mark.size, mark.root, text))
    return cosign_message(s.config.me, Line(mark.size, mark.root, text))


def cosign_message(member: str, line: Line) -> Cosign:
    """A line as it is sent, by its member or by anyone who passes it on."""
    return Cosign(line=line.text, member=member, root=b64u_encode(line.root), size=line.size)


def on_cosign(s: State, message: Cosign) -> None:
    """A cosignature. Kept when a member's line verifies; the newest of each member only. If a quorum of others signed
    another root at an own boundary, this replica's execution has diverged: stop."""
    member = message.member
    if member not in s.config.members or member == s.config.me or s.checkpoints.holds(member, message.size):
        return
    root = b64u_decode(message.root, 32)
    if not s.keyring.verify_cosignature(member, message.size, root, message.line):
        return s.count("bad_signature")
    publish(s, member, Line(message.size, root, message.line))
    stop_if_contradicted(s, message.size)


def stop_if_contradicted(s: State, size: int) -> None:
    """Stop when a quorum of others cosigned another root at this own boundary (decisions 6)."""
    if s.checkpoints.contradicted(size):
        s.stop("diverged", f"a quorum cosigned another root at size {size} than this node computed")


def publish(s: State, member: str, line: Line) -> None:
    """Keep a line; tell the driver when a checkpoint is more certain by it; drop journal entries it made needless."""
    for publication in s.checkpoints.note(member, line):
        s.emit(publication)
        height = s.checkpoints.height_of(publication.size)
        if height >= s.truncated_height + s.config.truncate_every:
            s.truncated_height = height
            s.emit(Truncate(live_entries(s)))
