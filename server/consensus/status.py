"""STATUS: each replica says where it stands; a peer sends what is missing. Nothing is ever rebroadcast blindly.

So a lost frame costs one STATUS interval, and what was sent once is sent again, from stored bytes, as long as somebody
lacks it (Fabric #1917: VIEW-CHANGEs that were never sent again left a network dead).
"""

from __future__ import annotations

from server.consensus.block import pack_block
from server.consensus.cosigning import cosign_message, say_executed
from server.consensus.messages import Held, PrePrepareMessage, Status
from server.consensus.normal import is_proposal
from server.consensus.state import State
from server.consensus.sync import ask_for_proof_of_fork, note_height


def tell_status(s: State) -> None:
    """Tell all others where this replica stands, once in each interval."""
    if s.status_ms is not None and s.now_ms - s.status_ms < s.config.timeouts.status_ms:
        return
    s.status_ms = s.now_ms
    slot, members = s.slot, s.config.members
    newest = [(member, s.checkpoints.newest(member)) for member in members]
    s.send(
        Status(
            attachments_missing=slot.missing_ms is not None,
            commits=tuple(m for m in members if m in slot.commits and slot.commits[m].body.view == s.view),
            cosigned=tuple(Held(member=member, size=line.size) for member, line in newest if line is not None),
            executed=tuple(m for m in members if m in s.executed),
            height=s.tip.height,
            mode=s.phase,
            prepares=tuple(m for m in members if m in slot.prepares and slot.prepares[m].body.view == s.view),
            size=s.tip.size,
            tip=s.tip.block_id if s.tip.height else "",
            view=s.view,
            voted=_proposal_at_hand(s),
        )
    )


def _proposal_at_hand(s: State) -> str:
    """The block voted for in this view, or the one proposed in it that the driver is checking: no need to send it."""
    if s.slot.vote is not None and s.slot.vote.view == s.view:
        return s.slot.vote.block_id
    proposed = s.slot.prepares.get(s.config.primary(s.view))
    checking = proposed is not None and proposed.body.view == s.view and proposed.body.block_id in s.slot.checking
    return proposed.body.block_id if proposed is not None and checking else ""


def on_status(s: State, sender: str, status: Status) -> None:
    """A peer tells where it stands: send it what it lacks. Nothing it says is believed beyond that."""
    note_height(s, sender, status.height)
    if s.phase == "stopped":
        return
    ask_for_proof_of_fork(s, sender, status.height, status.tip)
    _send_view(s, sender, status)
    if status.height == s.tip.height:
        _send_executed(s, sender, status)
        if status.view == s.view and s.phase == "normal" and status.mode == "normal":
            _send_votes(s, sender, status)
    _send_cosignatures(s, sender, status)
    for frame in s.pool.to_resend(sender, s.now_ms, 2 * s.config.timeouts.status_ms):
        s.emit_frame(sender, frame)


def _send_view(s: State, sender: str, status: Status) -> None:
    """To a peer behind in views, or waiting in the own: the NEW-VIEW if there is one, else the own VIEW-CHANGE.

    In the own view only the primary needs a VIEW-CHANGE.
    """
    if s.suspicion is not None and status.view <= s.view:
        s.send(s.suspicion, sender)
    if status.view > s.view or (status.view == s.view and status.mode != "changing"):
        return
    if s.installed is not None:
        s.send(s.installed.message, sender)
    elif s.change is not None and (status.view < s.view or sender == s.config.primary(s.view)):
        s.send(s.change[0], sender)


def _send_executed(s: State, sender: str, status: Status) -> None:
    """Own EXECUTED of the tip, until the peer holds it or has cosigned the tip."""
    if any(known.member == sender and known.size >= s.tip.size for known in status.cosigned):
        return
    say_executed(s)
    mine = s.executed.get(s.config.me)
    if mine is not None and s.config.me not in status.executed:
        s.send(mine, sender)


def _send_votes(s: State, sender: str, status: Status) -> None:
    """Own votes of this view at the height in flight that the peer does not hold, unless they were sent just now."""
    vote, me = s.slot.vote, s.config.me
    if vote is None or vote.view != s.view or s.now_ms - vote.since_ms < s.config.timeouts.status_ms:
        return
    if not status.voted and is_proposal(s):
        s.send(PrePrepareMessage(vote.prepare, pack_block(s.slot.blocks[vote.block_id])), sender)
    elif me not in status.prepares:
        s.send(vote.prepare, sender)
    if s.slot.commit_sent is not None and me not in status.commits:
        s.send(s.slot.commit_sent, sender)


def _send_cosignatures(s: State, sender: str, status: Status) -> None:
    """The newest line of every member that the peer does not hold: lines prove themselves, anyone passes them on."""
    held = {known.member: known.size for known in status.cosigned}
    for member in s.config.members:
        line = s.checkpoints.newest(member)
        if line is not None and member != sender and held.get(member, 0) < line.size:
            s.send(cosign_message(member, line), sender)
