"""What the journal must hold, and how a replica is rebuilt from it: stored bytes are repeated, never re-decided."""

from __future__ import annotations

from hashlib import sha256

from server.consensus.block import unpack_block
from server.consensus.effects import Entry, JournalEntry
from server.consensus.events import Verdict
from server.consensus.frames import decode_frame
from server.consensus.messages import Commit, NewViewMessage, Prepare, ViewChangeMessage, read_body
from server.consensus.packing import unpack
from server.consensus.slot import CastVote, PreparedBlock
from server.consensus.state import InstalledView, State
from server.record.canonical import Malformed, b64u_encode


def live_entries(s: State) -> tuple[JournalEntry, ...]:
    """The entries that still matter: the view, and the votes of the height in flight. The rest is certified."""
    entries: list[JournalEntry] = []
    if s.installed is not None:
        entries.append(s.installed.entry)
    if s.change is not None:
        entries.append(s.change[1])
    if s.slot.prepared is not None:
        entries.extend(s.slot.prepared.entries)
    if s.slot.vote is not None and s.slot.vote.entry not in entries:
        entries.append(s.slot.vote.entry)
    return tuple(entries)


def restore_entries(s: State, journal: tuple[JournalEntry, ...]) -> None:
    """Rebuild view and votes from the journal, in the order written. Raises Malformed when an entry is not ours:
    then what was voted is not known, and the replica must not start (consensus.md 2.8)."""
    for entry in journal:
        _RESTORE[entry.type](s, entry)
    if s.phase == "normal" and s.view > 0 and s.installed is None:
        raise Malformed("the journal names a view without its NEW-VIEW")


def _restore_vote(s: State, entry: JournalEntry) -> None:
    raw, signature, packed = unpack(entry.data, 3)
    prepare = read_body(Prepare, raw, signature)
    if prepare.body.height > s.height:
        s.observe_until = max(s.observe_until, prepare.body.height)
    if prepare.body.height != s.height:
        return
    block = unpack_block(s.config.cluster_id, packed)
    s.slot.vote = CastVote(prepare, s.now_ms, entry)
    s.slot.prepares[s.config.me] = prepare
    s.slot.verdicts[block.block_id] = Verdict.OK
    s.slot.hold(block)


def _restore_prepared(s: State, entry: JournalEntry) -> None:
    certificate, raw, signature = unpack(entry.data, 3)
    commit = read_body(Commit, raw, signature)
    vote = s.slot.vote
    if commit.body.height != s.height:
        return
    if vote is None or (vote.view, vote.block_id) != (commit.body.view, commit.body.block_id):
        raise Malformed("the journal holds a certificate without the vote before it")
    block = s.slot.blocks[vote.block_id]
    s.slot.prepared = PreparedBlock(vote.view, block, certificate, commit, (vote.entry, entry))


def _restore_view_change(s: State, entry: JournalEntry) -> None:
    message = decode_frame(entry.data)
    if not isinstance(message, ViewChangeMessage):
        raise Malformed("a VIEW-CHANGE entry of the journal holds something else")
    s.view, s.phase, s.installed, s.change = message.change.body.view, "changing", None, (message, entry)
    s.changes = {s.config.me: message}


def _restore_new_view(s: State, entry: JournalEntry) -> None:
    message = decode_frame(entry.data)
    if not isinstance(message, NewViewMessage):
        raise Malformed("a NEW-VIEW entry of the journal holds something else")
    digest = b64u_encode(sha256(message.new_view.raw).digest())
    s.view, s.phase, s.change = message.new_view.body.view, "normal", None
    s.installed = InstalledView(message, digest, entry)
    s.changes = {}


_RESTORE = {
    Entry.VOTE: _restore_vote,
    Entry.PREPARED: _restore_prepared,
    Entry.VIEW_CHANGE: _restore_view_change,
    Entry.NEW_VIEW: _restore_new_view,
}
