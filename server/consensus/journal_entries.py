"""What the journal must hold, and how a replica is rebuilt from it: stored bytes are repeated, never re-decided."""

from __future__ import annotations

from hashlib import sha256

from server.consensus.block import unpack_block
from server.consensus.effects import Entry, JournalEntry
from server.consensus.events import Verdict
from server.consensus.frames import decode_frame
from server.consensus.messages import Commit, NewViewMessage, Prepare, ViewChangeMessage, read_body
from server.consensus.packing import unpack
from server.consensus.slot import CastVote, PreparedBlock, Slot
from server.consensus.state import InstalledView, State
from server.record.canonical import Malformed, b64u_encode


def live_entries(state: State) -> tuple[JournalEntry, ...]:
    """The entries that still matter: the view, and the votes of the height in flight. The rest is certified."""
    entries: list[JournalEntry] = []
    if state.installed is not None:
        entries.append(state.installed.entry)
    if state.change is not None:
        entries.append(state.change[1])
    for slot in (state.slot, *state.later.values()):
        if slot.prepared is not None:
            entries.extend(slot.prepared.entries)
        if slot.vote is not None and slot.vote.entry not in entries:
            entries.append(slot.vote.entry)
    return (*entries, *state.ahead)


def restore_entries(state: State, journal: tuple[JournalEntry, ...]) -> None:
    """Rebuild view and votes from the journal, in the order written. Raises Malformed when an entry is not ours:
    then what was voted is not known, and the replica must not start (consensus.md 2.8)."""
    for entry in journal:
        state.journal_bytes += len(entry.data)
        epoch, height = _epoch_and_height(entry)
        if epoch > state.config.epoch:
            state.ahead.append(entry)
            state.observe_until = max(state.observe_until, height)
        elif epoch == state.config.epoch:
            _RESTORE[entry.type](state, entry)
    if state.phase == "normal" and state.view > 0 and state.installed is None:
        raise Malformed("the journal names a view without its NEW-VIEW")


def _epoch_and_height(entry: JournalEntry) -> tuple[int, int]:
    """The epoch of what was signed, and the height that it is about. Raises Malformed."""
    if entry.type is Entry.VOTE:
        raw, signature, _ = unpack(entry.data, 3)
        vote = read_body(Prepare, raw, signature).body
        return vote.epoch, vote.height
    if entry.type is Entry.PREPARED:
        _, raw, signature = unpack(entry.data, 3)
        commit = read_body(Commit, raw, signature).body
        return commit.epoch, commit.height
    message = decode_frame(entry.data)
    if isinstance(message, ViewChangeMessage):
        return message.change.body.epoch, message.change.body.last_height + 1
    if isinstance(message, NewViewMessage):
        return message.new_view.body.epoch, message.new_view.body.base_height + 1
    raise Malformed("the journal holds a frame that changes no view")


def _slot_at(state: State, height: int) -> Slot | None:
    """Where votes of this height belong; None when it is committed. A height above the one in flight: the ledger was
    put back from a copy and the journal was not. What was voted below it is forgotten, so nobody votes there."""
    if height <= state.height:
        return state.slot if height == state.height else None
    state.observe_until = max(state.observe_until, height - 1)
    return state.later.setdefault(height, Slot())


def _restore_vote(state: State, entry: JournalEntry) -> None:
    raw, signature, packed = unpack(entry.data, 3)
    prepare = read_body(Prepare, raw, signature)
    # What the process before had not truncated yet is due by its age, however often a node is started.
    state.truncated_height = min(state.truncated_height, prepare.body.height - 1)
    slot = _slot_at(state, prepare.body.height)
    if slot is None:
        return
    block = unpack_block(state.config.cluster_id, packed)
    if block.block_id != prepare.body.block_id:
        raise Malformed("the journal holds a vote with another block")
    slot.vote = CastVote(prepare, state.now_ms, entry)
    slot.prepares[state.config.me] = prepare
    slot.verdicts[block.block_id] = Verdict.OK
    slot.hold(block)


def _restore_prepared(state: State, entry: JournalEntry) -> None:
    certificate, raw, signature = unpack(entry.data, 3)
    commit = read_body(Commit, raw, signature)
    slot = _slot_at(state, commit.body.height)
    if slot is None:
        return
    vote = slot.vote
    if vote is None or (vote.view, vote.block_id) != (commit.body.view, commit.body.block_id):
        raise Malformed("the journal holds a certificate without the vote before it")
    block = slot.blocks[vote.block_id]
    slot.prepared = PreparedBlock(vote.view, block, certificate, commit, (vote.entry, entry))


def _restore_view_change(state: State, entry: JournalEntry) -> None:
    message = decode_frame(entry.data)
    if not isinstance(message, ViewChangeMessage):
        raise Malformed("a VIEW-CHANGE entry of the journal holds something else")
    state.view, state.phase, state.installed, state.change = (
        message.change.body.view,
        "changing",
        None,
        (message, entry),
    )
    state.changes = {state.config.me: message}


def _restore_new_view(state: State, entry: JournalEntry) -> None:
    message = decode_frame(entry.data)
    if not isinstance(message, NewViewMessage):
        raise Malformed("a NEW-VIEW entry of the journal holds something else")
    digest = b64u_encode(sha256(message.new_view.raw).digest())
    state.view, state.phase, state.change = message.new_view.body.view, "normal", None
    state.installed = InstalledView(message, digest, entry)
    state.changes = {}


_RESTORE = {
    Entry.VOTE: _restore_vote,
    Entry.PREPARED: _restore_prepared,
    Entry.VIEW_CHANGE: _restore_view_change,
    Entry.NEW_VIEW: _restore_new_view,
}
