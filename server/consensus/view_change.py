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
from server.consensus.normal import check, extends_tip, named_block
from server.consensus.select import Claim, select
from server.consensus.state import InstalledView, State
from server.consensus.suspicion import Reason
from server.ledger.block import block_id, genesis_tip
from server.record.canonical import b64u_encode, encode


def suspect(s: State, reason: Reason) -> None:
    """Say that the view makes no progress, and stay in it: keep voting. Said again only by retransmission."""
    if s.suspicion is not None and s.suspicion.body.view == s.view:
        return
    s.suspicion = s.sign(Suspect(epoch=s.config.epoch, height=s.height, reason=reason, sender=s.config.me, view=s.view))
    s.suspects[s.config.me] = s.suspicion
    s.count("suspect_" + reason)
    s.send(s.suspicion)


def on_suspect(s: State, message: Signed[Suspect]) -> None:
    """Kept when it is signed by a member of this epoch, for the own view or one at most 1,000 later, and later than
    the sender's last one: one of each sender (FISCO #2311, #2447)."""
    body = message.body
    known = s.suspects.get(body.sender)
    if not s.view <= body.view <= s.view + VIEWS_AHEAD_MAX or (known is not None and known.body.view >= body.view):
        return
    if not s.certifier.signed(message):
        return s.count("bad_signature")
    s.suspects[body.sender] = message


def leave_if_suspected(s: State) -> None:
    """A quorum of SUSPECTs of one view, the own or a later one, is the certificate to leave it."""
    if s.phase == "stopped":
        return
    for view in sorted({message.body.view: None for message in s.suspects.values()}, reverse=True):
        backing = [message for message in s.suspects.values() if message.body.view == view]
        if view >= s.view and len(backing) >= s.config.quorum:
            return enter(s, view + 1, pack_certificate(backing))


def enter(s: State, view: int, suspects: bytes) -> None:
    """Leave for `view`: journal the VIEW-CHANGE, then send it. It tells the last committed block and, above it, the
    block prepared here, each with its certificate, so that the receiver needs no other message."""
    prepared = s.slot.prepared
    body = ViewChange(
        epoch=s.config.epoch,
        last_block=s.tip.block_id if s.tip.height else "",
        last_height=s.tip.height,
        prepared_block=prepared.block.block_id if prepared else "",
        prepared_view=prepared.view if prepared else 0,
        sender=s.config.me,
        view=view,
    )
    message = ViewChangeMessage(
        s.sign(body),
        s.tip_certificate,
        suspects,
        prepared.certificate if prepared else b"",
        encode(prepared.block.header) if prepared else b"",
    )
    entry = JournalEntry(Entry.VIEW_CHANGE, encode_frame(message))
    s.view, s.phase, s.installed, s.change = view, "changing", None, (message, entry)
    s.suspicion, s.progress_ms, s.backoff = None, s.now_ms, s.backoff + 1
    s.suspects = {sender: known for sender, known in s.suspects.items() if known.body.view >= view}
    s.changes = {sender: known for sender, known in s.changes.items() if known.change.body.view >= view}
    s.changes[s.config.me] = message
    s.count("view_changes")
    s.persist(entry)
    s.send(message)


def is_valid_change(s: State, message: ViewChangeMessage) -> bool:
    """Whether a VIEW-CHANGE proves what it says (PBFT 4.4):

    - it is signed by a member of this epoch;
    - a quorum suspected the view before;
    - its last block, if any, has a commit certificate;
    - its prepared block, if any, is the child of that block, has the id named, and a quorum prepared it in an earlier
      view.
    """
    body = message.change.body
    if body.view < 1 or not s.certifier.signed(message.change):
        return False
    if not s.certifier.suspected(message.suspects, body.view - 1):
        return False
    if body.last_height and not s.certifier.committed(message.last, body.last_height, body.last_block):
        return False
    if not body.last_height and body.last_block:
        return False
    return not body.prepared_block or _is_prepared(s, message)


def _is_prepared(s: State, message: ViewChangeMessage) -> bool:
    body = message.change.body
    header = read_header(message.header)
    height = body.last_height + 1
    if header.height != height or header.prev != (body.last_block or genesis_tip(s.config.cluster_id)):
        return False
    if block_id(s.config.cluster_id, header) != body.prepared_block or body.prepared_view >= body.view:
        return False
    return s.certifier.prepared(message.prepared, body.prepared_view, height, body.prepared_block)


def on_view_change(s: State, message: ViewChangeMessage) -> None:
    """Kept when it is valid, for the own view or a later one, and later than the sender's last one. A later view is
    joined at once: the message carries the certificate for it, however far ahead."""
    body = message.change.body
    known = s.changes.get(body.sender)
    if body.view < s.view or (known is not None and known.change.body.view >= body.view):
        return
    if s.phase == "normal" and body.view == s.view:
        return
    if not is_valid_change(s, message):
        return s.count("bad_view_change")
    if stop_if_forked(s, body.last_height, body.last_block):
        return
    s.changes[body.sender] = message
    s.sync.heights[body.sender] = max(s.sync.heights.get(body.sender, 0), body.last_height)
    if body.view > s.view:
        enter(s, body.view, message.suspects)


def stop_if_forked(s: State, height: int, certified: str) -> bool:
    """Stop when a certified block is not the own one at its height (consensus.md 1.3 H3)."""
    mine = s.recent.get(height)
    if mine is None or mine == certified:
        return False
    s.stop("fork", f"block {height} is {mine} here, but a quorum committed {certified}")
    return True


def announce_new_view(s: State) -> None:
    """The primary of the view, with a quorum of VIEW-CHANGEs: select, journal the NEW-VIEW, send it.

    It waits until it has synchronised up to the base itself: what it proposes next must extend that.
    """
    if s.phase != "changing" or not s.is_primary or len(s.changes) < s.config.quorum:
        return
    chosen = [message for message in s.changes.values() if message.change.body.view == s.view]
    if len(chosen) < s.config.quorum:
        return
    chosen.sort(key=lambda message: (message.change.body.sender != s.config.me, message.change.body.sender))
    chosen = chosen[: s.config.quorum]
    selection = select(map(claim_of, chosen))
    if selection.base_height > s.tip.height:
        return
    body = NewView(
        base_height=selection.base_height,
        block_id=selection.block_id,
        epoch=s.config.epoch,
        sender=s.config.me,
        view=s.view,
        view_changes=tuple(map(digest_of_change, chosen)),
    )
    message = NewViewMessage(s.sign(body), tuple(chosen))
    install(s, message)
    s.send(message)


def claim_of(message: ViewChangeMessage) -> Claim:
    """What a valid VIEW-CHANGE contributes to the selection."""
    body = message.change.body
    return Claim(body.last_height, body.prepared_view, body.prepared_block)


def digest_of_change(message: ViewChangeMessage) -> str:
    """How a NEW-VIEW names a VIEW-CHANGE: SHA-256 of its signed body."""
    return b64u_encode(sha256(message.change.raw).digest())


def on_new_view(s: State, message: NewViewMessage) -> None:
    """The NEW-VIEW of a view. Accepted (PBFT 4.4) when

    - it is for a later view than the own, or for the own while waiting for it;
    - it is signed by that view's primary, in this epoch; anyone may have carried it;
    - it names exactly the VIEW-CHANGEs it brings: a quorum, of distinct members, each valid, each for this view;
    - selecting from them gives the same base and block.

    The replica then is in that view, whatever it was in before. It votes for the block named once it is at the base.
    """
    body = message.new_view.body
    if body.view < s.view or (body.view == s.view and s.phase != "changing"):
        return
    if body.sender != s.config.primary(body.view) or not s.certifier.signed(message.new_view):
        return s.count("bad_signature")
    senders = dict.fromkeys(change.change.body.sender for change in message.changes)
    if len(senders) != len(message.changes) or len(senders) < s.config.quorum:
        return s.count("bad_new_view")
    if body.view_changes != tuple(map(digest_of_change, message.changes)):
        return s.count("bad_new_view")
    if any(change.change.body.view != body.view or not is_valid_change(s, change) for change in message.changes):
        return s.count("bad_new_view")
    selection = select(map(claim_of, message.changes))
    if (selection.base_height, selection.block_id) != (body.base_height, body.block_id):
        return s.count("bad_new_view")
    if any(stop_if_forked(s, c.change.body.last_height, c.change.body.last_block) for c in message.changes):
        return
    s.sync.heights[body.sender] = max(s.sync.heights.get(body.sender, 0), body.base_height)
    install(s, message)


def install(s: State, message: NewViewMessage) -> None:
    """Journal the NEW-VIEW and be in its view. The own prepared certificate stays until its height commits."""
    body = message.new_view.body
    frame = encode_frame(message)
    digest = b64u_encode(sha256(message.new_view.raw).digest())
    entry = JournalEntry(Entry.NEW_VIEW, frame)
    if body.view > s.view:
        s.backoff += 1
    s.view, s.phase, s.change = body.view, "normal", None
    s.installed = InstalledView(message, digest, entry)
    s.suspicion, s.progress_ms, s.view_since_ms = None, s.now_ms, s.now_ms
    s.suspects = {sender: known for sender, known in s.suspects.items() if known.body.view >= body.view}
    s.changes = {sender: known for sender, known in s.changes.items() if known.change.body.view > body.view}
    s.slot.commit_sent = None
    s.persist(entry)
    s.emit(KeepTranscript(digest, frame))


def vote_on_named_block(s: State) -> None:
    """Vote for the block that the NEW-VIEW names at the height in flight, once it is here.

    It keeps its id, time and proposer, so the clock is not asked again; its batch may have to be fetched. If it does
    not extend the own tip, a quorum has certified another chain: stop.
    """
    named = named_block(s)
    if not named or not s.may_vote or (s.slot.vote is not None and s.slot.vote.view >= s.view):
        return
    block = s.slot.blocks.get(named)
    if block is None:
        return
    if extends_tip(s, block):
        check(s, block, _holder(s))
    elif block.header.prev != s.tip.block_id:
        s.stop("fork", f"the block prepared at height {block.height} follows another chain")


def _holder(s: State) -> str:
    """A member other than this one, if there is one, that prepared the named block, and so has its attachments."""
    assert s.installed is not None
    named = s.installed.body.block_id
    for change in s.installed.message.changes:
        if change.change.body.prepared_block == named:
            for vote in read_certificate(Prepare, change.prepared):
                if vote.body.sender != s.config.me:
                    return vote.body.sender
    return s.config.me
