"""The replica: one event in, a list of effects out. How to drive it:

    replica = Replica(config, keyring, restored)      # restored: what ledger, journal and signer file hold
    for effect in replica.step(now_ms, Start()): perform(effect)
    ... then for every event the same; Tick every 50 to 100 ms

Effects are performed strictly in order, also across calls; `effects.py` says which are barriers and which are questions
that an event answers. After a crash between any two effects the replica is built again from what is durable. A record
goes: Submitted -> Build, Built -> Persist, Send(PRE-PREPARE), and when peers have prepared it -> Persist, Execute,
Executed -> Send(COMMIT), when they have committed it -> Store, Stored -> PersistSigner, Send(COSIGN), and when they
have cosigned it -> PublishCheckpoint. Frames that are malformed, wrongly signed or out of place are dropped and
counted; they never raise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from server.consensus import commit, cosigning, events, normal, status, suspicion, sync, view_change
from server.consensus.block import pack_attachments, unpack_attachments
from server.consensus.certificates import Certifier
from server.consensus.checkpoints import Checkpoints
from server.consensus.config import Config
from server.consensus.effects import Admit, Effect, Refused
from server.consensus.frames import decode_frame, encode_frame
from server.consensus.journal_entries import restore_entries
from server.consensus.keyring import Keyring
from server.consensus.messages import (
    BatchMessage,
    CommitMessage,
    Cosign,
    Executed,
    Fetch,
    Message,
    NewViewMessage,
    Prepare,
    PrePrepareMessage,
    RequestMessage,
    Signed,
    Status,
    Suspect,
    SyncReplyMessage,
    SyncRequest,
    ViewChangeMessage,
)
from server.consensus.restored import Restored
from server.consensus.state import State
from server.record.canonical import Malformed


class Replica:
    """Mutable. One member's part in ordering one ledger. Prints itself in one short line."""

    __slots__ = ("_state",)

    def __init__(self, config: Config, keyring: Keyring, restored: Restored) -> None:
        """Rebuild from what is durable. Raises Malformed when the journal is not one that this code wrote."""
        self._state = State(
            config,
            keyring,
            Certifier(config, keyring),
            Checkpoints(config),
            restored.tip,
            restored.certificate,
            restored.signer,
        )
        for boundary in restored.recent:
            self._state.extend(boundary)
        restore_entries(self._state, restored.journal)
        self._state.truncated_height = restored.tip.height

    def __repr__(self) -> str:
        s, slot = self._state, self._state.slot
        vote = f" vote={slot.vote.block_id[:6]}@{slot.vote.view}" if slot.vote else ""
        prepared = f" prepared={slot.prepared.block.block_id[:6]}@{slot.prepared.view}" if slot.prepared else ""
        storing = " storing" if slot.storing else ""
        head = f"{s.config.me} view={s.view} {s.phase}{' primary' if s.is_primary else ''}"
        tail = f" pending={len(s.pool)} cosigned={s.signer.size if s.signer else 0} sealed={s.checkpoints.sealed_size}"
        return f"<{head} height={s.tip.height}{vote}{prepared}{storing}{tail}>"

    @property
    def state(self) -> State:
        """For reading: metrics, /cluster, and the simulator's oracles."""
        return self._state

    def step(self, now_ms: int, event: events.Event) -> list[Effect]:
        """Take one event at the driver's clock; return the effects to perform, in order."""
        s = self._state
        s.now_ms = max(now_ms, s.now_ms)
        _HANDLERS[type(event)](s, event)
        _go_on(s)
        effects, s.out = s.out, []
        return effects


def _go_on(s: State) -> None:
    """Whatever the event has made possible, in the order of a block's life. Each step asks whether it may."""
    if s.phase == "stopped":
        return
    view_change.leave_if_suspected(s)
    view_change.announce_new_view(s)
    view_change.vote_on_named_block(s)
    normal.prepare_if_quorum(s)
    commit.send_commit(s)
    commit.commit_if_quorum(s)
    sync.take_synced(s)
    commit.store_committed(s)
    cosigning.cosign_if_agreed(s)
    sync.fetch_named_block(s)
    sync.ask_if_behind(s)
    normal.propose(s)


def _on_start(s: State, _event: events.Start) -> None:
    """Begin: patience starts now, the signer's last line is repeated, and all others are told where this replica is."""
    s.progress_ms = s.view_since_ms = s.now_ms
    if s.signer is not None and s.signer.size == s.tip.size and s.signer.root != s.tip.root:
        return s.stop("diverged", f"the ledger's root at size {s.tip.size} is not the one that was cosigned")
    if s.signer is not None and s.signer.epoch == s.config.epoch:
        s.send(cosigning.take_own_line(s))
    cosigning.say_executed(s)
    status.tell_status(s)


def _on_tick(s: State, _event: events.Tick) -> None:
    s.slot.nothing_to_build = False
    status.tell_status(s)
    if s.phase == "stopped":
        return
    s.pool.expire(s.now_ms)
    suspicion.note_seal(s)
    reason = suspicion.reason_to_suspect(s)
    if reason is not None:
        view_change.suspect(s, reason)


def _on_submitted(s: State, event: events.Submitted) -> None:
    """A client's record: kept, and passed on once to everybody, so that everybody waits for it (consensus.md 2.3)."""
    message = RequestMessage(event.record_id, event.record, pack_attachments(event.attachments))
    if event.record_id in s.pool or s.phase == "stopped":
        return
    if not s.pool.add(event.record_id, encode_frame(message), s.now_ms, event.expires_ms):
        return s.emit(Refused(event.record_id))
    s.slot.nothing_to_build = False
    s.send(message)


def _on_admitted(s: State, event: events.Admitted) -> None:
    message = RequestMessage(event.record_id, event.record, pack_attachments(event.attachments))
    s.pool.answered(event.record_id)
    if s.phase != "stopped":
        s.pool.add(event.record_id, encode_frame(message), s.now_ms, event.expires_ms)
        s.slot.nothing_to_build = False


def _on_rejected(s: State, event: events.Rejected) -> None:
    s.pool.answered(event.record_id)
    s.pool.remove((event.record_id,))


def _on_agenda(s: State, event: events.Agenda) -> None:
    s.agenda = event
    s.slot.nothing_to_build = False
    suspicion.note_seal(s)


def _on_halted(s: State, event: events.Halted) -> None:
    s.stop("halted", event.detail)


def _on_stored(s: State, event: events.Stored) -> None:
    """The next height begins: votes for it that came early are looked at again."""
    height = s.tip.height
    commit.on_stored(s, event)
    if s.tip.height > height:
        cosigning.stop_if_contradicted(s, s.tip.size)
        early, s.early = s.early, {}
        for (carrier, _), message in early.items():
            _handle(s, carrier, message)


def _on_received(s: State, event: events.Received) -> None:
    try:
        _handle(s, event.sender, decode_frame(event.frame))
    except Malformed:
        s.count("malformed")


def _handle(s: State, carrier: str, message: Message) -> None:
    if s.phase == "stopped" and not isinstance(message, SyncRequest | Status):
        return
    if isinstance(message, PrePrepareMessage | Signed | CommitMessage) and _keep_early(s, carrier, message):
        return
    try:
        if isinstance(message, Signed):
            _SIGNED[type(message.body)](s, message)
        else:
            _MESSAGES[type(message)](s, carrier, message)
    except Malformed:
        s.count("malformed")


def _keep_early(s: State, carrier: str, message: PrePrepareMessage | Signed[Any] | CommitMessage) -> bool:
    """Votes for the next height but one: its sender has stored the block in flight, this replica is about to.

    One of each type and carrier is kept until then; what is further ahead is dropped and only says whom to ask for
    blocks (consensus.md 2.10). Returns whether the message was dealt with.
    """
    if isinstance(message, PrePrepareMessage):
        height = message.prepare.body.height
    elif isinstance(message, CommitMessage):
        height = message.commit.body.height
    elif isinstance(message.body, Prepare | Executed):
        height = message.body.height
    else:
        return False
    if height <= s.height:
        return False
    if height == s.height + 1:
        kind = type(message.body).__name__ if isinstance(message, Signed) else type(message).__name__
        s.early[carrier, kind] = message
    sync.note_height(s, carrier, max(s.sync.heights.get(carrier, 0), height - 1))
    return True


def _on_request(s: State, carrier: str, message: RequestMessage) -> None:
    """A peer passes a record on. Asked of the driver once; the claimed id saves judging again what is pending."""
    attachments = unpack_attachments(message.attachments)
    if s.pool.ask(message.record_id):
        s.emit(Admit(message.record_id, message.record, attachments, carrier))


_SIGNED: dict[type, Callable[[State, Any], Any]] = {
    Prepare: normal.on_prepare,
    Executed: commit.on_executed,
    Suspect: view_change.on_suspect,
}

_MESSAGES: dict[type, Callable[[State, str, Any], None]] = {
    PrePrepareMessage: lambda s, _carrier, message: normal.on_pre_prepare(s, message),
    CommitMessage: lambda s, _carrier, message: commit.on_commit(s, message),
    ViewChangeMessage: lambda s, _carrier, message: view_change.on_view_change(s, message),
    NewViewMessage: lambda s, _carrier, message: view_change.on_new_view(s, message),
    Cosign: lambda s, _carrier, message: cosigning.on_cosign(s, message),
    Status: status.on_status,
    RequestMessage: _on_request,
    Fetch: sync.on_fetch,
    BatchMessage: lambda s, _carrier, message: sync.on_batch(s, message),
    SyncRequest: sync.on_sync_request,
    SyncReplyMessage: lambda s, _carrier, message: sync.on_sync_reply(s, message),
}

_HANDLERS: dict[type, Callable[[State, Any], None]] = {
    events.Start: _on_start,
    events.Tick: _on_tick,
    events.Received: _on_received,
    events.Submitted: _on_submitted,
    events.Admitted: _on_admitted,
    events.Rejected: _on_rejected,
    events.Built: normal.on_built,
    events.Checked: normal.on_checked,
    events.Executed: commit.on_result,
    events.Stored: _on_stored,
    events.Agenda: _on_agenda,
    events.BlocksRead: sync.on_blocks_read,
    events.Halted: _on_halted,
}
