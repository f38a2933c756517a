"""View change (PBFT 4.4; consensus.md 2.5): SUSPECT, a certificate of them, VIEW-CHANGE, NEW-VIEW.

Where it differs from the paper: SUSPECT does not leave the view, so one impatient replica disturbs nobody and never
gets stuck alone in a higher view; a VIEW-CHANGE proves by its certificates that leaving was justified, so whoever sees
it joins; the NEW-VIEW names a block by id and counts as its proposal.
"""

from __future__ import annotations

from hashlib import sha256

from server.consensus.block import read_header
from server.consensus.certificates import pack_certificate, read_certificate
from server.consensus.config import VIEWS_AHEAD_MAX
from server.consensus.effects import Entry, JournalEntry, KeepTranscript
from server.consensus.frames import encode_frame
from server.consensus.messages import (
    NewView,
    NewViewMessage,
    Prepare,
    Signed,
    Suspect,
    ViewChange,
    ViewChangeMessage,
)
from server.consensus.normal import check, extends_tip, follows_tip, named_block
from server.consensus.select import Claim, select
from server.consensus.state import InstalledView, State
from server.consensus.suspicion import Reason
from server.ledger.block import block_id, genesis_tip
from server.record.canonical import b64u_encode, encode


def suspect(state: State, reason: Reason) -> None:
    """Say that the view makes no progress, and stay in it: keep voting. Said again only by retransmission."""
    if state.config.observes or (state.suspicion is not None and state.suspicion.body.view == state.view):
        return
    state.suspicion = state.sign(
        Suspect(epoch=state.config.epoch, height=state.height, reason=reason, sender=state.config.me, view=state.view)
    )
    state.suspects[state.config.me] = state.suspicion
    state.count("suspect_" + reason)
    state.send(state.suspicion)


def on_suspect(state: State, message: Signed[Suspect]) -> None:
    """Kept when it is signed by a member of this epoch, for the own view or one at most 1,000 later, and later than
    the sender's last one: one of each sender (FISCO #2311, #2447)."""
    body = message.body
    known = state.suspects.get(body.sender)
    if not state.view <= body.view <= state.view + VIEWS_AHEAD_MAX or (
        known is not None and known.body.view >= body.view
    ):
        return
    if not state.certifier.signed(message):
        return state.count("bad_signature")
    state.suspects[body.sender] = message


def leave_if_suspected(state: State) -> None:
    """A quorum of SUSPECTs of a view is the certificate to leave it; who suspects a later view suspects this one, too.

    Otherwise members that stand in different views, each one short of a quorum, would wait for each other for ever. A
    VIEW-CHANGE for a later view carries a certificate, and is joined, however far ahead.
    """
    if state.phase == "stopped" or not state.may_sign or state.is_taking_blocks:
        return
    later = [message for message in state.changes.values() if message.change.body.view > state.view]
    if later:
        furthest = max(later, key=lambda message: message.change.body.view)
        enter(state, furthest.change.body.view, furthest.suspects)
    latest = sorted(state.suspects.values(), key=lambda message: message.body.view, reverse=True)
    backing = latest[: state.config.quorum]
    if len(backing) == state.config.quorum and backing[-1].body.view >= state.view:
        enter(state, backing[-1].body.view + 1, pack_certificate(backing))


def enter(state: State, view: int, suspects: bytes) -> None:
    """Leave for `view`: journal the VIEW-CHANGE, then send it. It tells the last committed block and, above it, the
    block prepared here, each with its certificate, so that the receiver needs no other message. A replica that may have
    forgotten what it voted cannot tell, and waits for the NEW-VIEW of the others."""
    if not state.may_sign:
        return
    prepared = state.slot.prepared
    body = ViewChange(
        epoch=state.config.epoch,
        last_block=state.tip.block_id if state.tip.height else "",
        last_height=state.tip.height,
        prepared_block=prepared.block.block_id if prepared else "",
        prepared_view=prepared.view if prepared else 0,
        sender=state.config.me,
        view=view,
    )
    message = ViewChangeMessage(
        state.sign(body),
        state.tip_certificate,
        suspects,
        prepared.certificate if prepared else b"",
        encode(prepared.block.header) if prepared else b"",
    )
    entry = JournalEntry(Entry.VIEW_CHANGE, encode_frame(message))
    state.view, state.phase, state.installed, state.change = view, "changing", None, (message, entry)
    state.suspicion, state.progress_ms, state.backoff = None, state.now_ms, state.backoff + 1
    state.suspects = {sender: known for sender, known in state.suspects.items() if known.body.view >= view}
    state.changes = {sender: known for sender, known in state.changes.items() if known.change.body.view >= view}
    state.changes[state.config.me] = message
    state.count("view_changes")
    state.persist(entry)
    state.send(message)


def is_valid_change(state: State, message: ViewChangeMessage) -> bool:
    """Whether a VIEW-CHANGE proves what it says (PBFT 4.4):

    - it is signed by a member of this epoch;
    - a quorum suspected the view before;
    - its last block has a commit certificate, unless the epoch stands on it;
    - its prepared block, if any, is the child of that block, has the id named, and a quorum prepared it in an earlier
      view.
    """
    body = message.change.body
    if body.view < 1 or not state.certifier.signed(message.change):
        return False
    if not state.certifier.suspected(message.suspects, body.view - 1):
        return False
    if body.last_height <= state.config.base_height:
        if (body.last_height, body.last_block) != (state.config.base_height, state.config.base_block):
            return False
    elif not state.certifier.committed(message.last, body.last_height, body.last_block):
        return False
    return not body.prepared_block or _is_prepared(state, message)


def _is_prepared(state: State, message: ViewChangeMessage) -> bool:
    body = message.change.body
    header = read_header(message.header)
    height = body.last_height + 1
    if header.height != height or header.prev != (body.last_block or genesis_tip(state.config.cluster_id)):
        return False
    if block_id(state.config.cluster_id, header) != body.prepared_block or body.prepared_view >= body.view:
        return False
    return state.certifier.prepared(message.prepared, body.prepared_view, height, body.prepared_block)


def on_view_change(state: State, message: ViewChangeMessage) -> None:
    """Kept when it is valid, for the own view or a later one, and later than the sender's last one. A later view is
    joined (`leave_if_suspected`)."""
    body = message.change.body
    if body.sender == state.config.me:
        return _recall(state, message)
    known = state.changes.get(body.sender)
    if body.view < state.view or (known is not None and known.change.body.view >= body.view):
        return
    if state.phase == "normal" and body.view == state.view:
        return
    if not is_valid_change(state, message):
        return state.count("bad_view_change")
    if stop_if_forked(state, body.last_height, body.last_block):
        return
    state.changes[body.sender] = message
    state.sync.heights[body.sender] = max(state.sync.heights.get(body.sender, 0), body.last_height)


def _recall(state: State, message: ViewChangeMessage) -> None:
    """A peer shows a VIEW-CHANGE of this member that it does not know: it has left that view, and forgotten it."""
    body = message.change.body
    if body.view > state.view and state.certifier.signed(message.change):
        state.recall(body.last_height + 1)


def stop_if_forked(state: State, height: int, certified: str) -> bool:
    """Stop when a certified block is not the own one at its height (consensus.md 1.3 H3)."""
    mine = state.recent.get(height)
    if mine is None or mine == certified:
        return False
    state.stop("fork", f"block {height} is {mine} here, but a quorum committed {certified}")
    return True


def announce_new_view(state: State) -> None:
    """The primary of the view, with a quorum of VIEW-CHANGEs: select, journal the NEW-VIEW, send it.

    It waits until it has synchronised up to the base itself: what it proposes next must extend that.
    """
    if state.phase != "changing" or not state.is_primary or not state.may_sign:
        return
    chosen = [message for message in state.changes.values() if message.change.body.view == state.view]
    if len(chosen) < state.config.quorum:
        return
    chosen.sort(key=lambda message: (message.change.body.sender != state.config.me, message.change.body.sender))
    chosen = chosen[: state.config.quorum]
    selection = select(map(claim_of, chosen))
    if selection.base_height > state.tip.height:
        return
    body = NewView(
        base_height=selection.base_height,
        block_id=selection.block_id,
        epoch=state.config.epoch,
        sender=state.config.me,
        view=state.view,
        view_changes=tuple(map(digest_of_change, chosen)),
    )
    message = NewViewMessage(state.sign(body), tuple(chosen))
    install(state, message)
    state.send(message)


def claim_of(message: ViewChangeMessage) -> Claim:
    """What a valid VIEW-CHANGE contributes to the selection."""
    body = message.change.body
    return Claim(body.last_height, body.prepared_view, body.prepared_block)


def digest_of_change(message: ViewChangeMessage) -> str:
    """How a NEW-VIEW names a VIEW-CHANGE: SHA-256 of its signed body."""
    return b64u_encode(sha256(message.change.raw).digest())


def on_new_view(state: State, message: NewViewMessage) -> None:
    """The NEW-VIEW of a view. Accepted (PBFT 4.4) when

    - it is for a later view than the own, or for the own while waiting for it;
    - it is signed by that view's primary, in this epoch; anyone may have carried it;
    - it names exactly the VIEW-CHANGEs it brings: a quorum, of distinct members, each valid, each for this view;
    - selecting from them gives the same base and block.

    The replica then is in that view, whatever it was in before. It votes for the block named once it is at the base.
    """
    body = message.new_view.body
    if body.view < state.view or (body.view == state.view and state.phase != "changing"):
        return
    if body.sender != state.primary(body.view) or not state.certifier.signed(message.new_view):
        return state.count("bad_signature")
    senders = dict.fromkeys(change.change.body.sender for change in message.changes)
    if len(senders) != len(message.changes) or len(senders) < state.config.quorum:
        return state.count("bad_new_view")
    if body.view_changes != tuple(map(digest_of_change, message.changes)):
        return state.count("bad_new_view")
    if any(change.change.body.view != body.view or not is_valid_change(state, change) for change in message.changes):
        return state.count("bad_new_view")
    selection = select(map(claim_of, message.changes))
    if (selection.base_height, selection.block_id) != (body.base_height, body.block_id):
        return state.count("bad_new_view")
    bodies = [change.change.body for change in message.changes]
    if any(stop_if_forked(state, each.last_height, each.last_block) for each in bodies):
        return
    state.sync.heights[body.sender] = max(state.sync.heights.get(body.sender, 0), body.base_height)
    install(state, message)


def install(state: State, message: NewViewMessage) -> None:
    """Journal the NEW-VIEW and be in its view. The own prepared certificate stays until its height commits."""
    body = message.new_view.body
    frame = encode_frame(message)
    digest = b64u_encode(sha256(message.new_view.raw).digest())
    entry = JournalEntry(Entry.NEW_VIEW, frame)
    if body.view > state.view:
        state.backoff += 1
    state.view, state.phase, state.change = body.view, "normal", None
    state.installed = InstalledView(message, digest, entry)
    state.suspicion, state.progress_ms, state.view_since_ms = None, state.now_ms, state.now_ms
    state.suspects = {sender: known for sender, known in state.suspects.items() if known.body.view >= body.view}
    state.changes = {sender: known for sender, known in state.changes.items() if known.change.body.view > body.view}
    state.slot.commit_sent = None
    state.persist(entry)
    state.emit(KeepTranscript(digest, frame))


def vote_on_named_block(state: State) -> None:
    """Vote for the block that the NEW-VIEW names at the height in flight, once it is here.

    It keeps its id, time and proposer, so the clock is not asked again; its batch may have to be fetched. If it does
    not extend the own tip, a quorum has certified another chain: stop.
    """
    named = named_block(state)
    if not named or not state.may_vote or (state.slot.vote is not None and state.slot.vote.view >= state.view):
        return
    block = state.slot.blocks.get(named)
    if block is None:
        return
    if extends_tip(state, block):
        check(state, block, _holder(state))
    elif not follows_tip(state, block):
        state.stop("fork", f"the block prepared at height {block.height} follows another chain")


def _holder(state: State) -> str:
    """A member other than this one, if there is one, that prepared the named block, and so has its attachments."""
    assert state.installed is not None
    named = state.installed.body.block_id
    for change in state.installed.message.changes:
        if change.change.body.prepared_block == named:
            for vote in read_certificate(Prepare, change.prepared):
                if vote.body.sender != state.config.me:
                    return vote.body.sender
    return state.config.me
