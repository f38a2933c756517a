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

from server.consensus import accusation, commit, cosigning, events, normal, status, suspicion, sync, view_change
from server.consensus.block import pack_attachments, unpack_attachments
from server.consensus.certificates import Certifier
from server.consensus.checkpoints import Checkpoints
from server.consensus.config import Config
from server.consensus.effects import Admit, Effect, Refused
from server.consensus.evidence import is_of_epoch, unpack_evidence
from server.consensus.frames import decode_frame, encode_frame, passes_record
from server.consensus.journal_entries import restore_entries
from server.consensus.keyring import Keyring
from server.consensus.messages import (
    BatchMessage,
    CommitMessage,
    Cosign,
    EvidenceMessage,
    Executed,
    Fetch,
    Message,
    NewViewMessage,
    Prepare,
    PrePrepareMessage,
    Release,
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
from server.consensus.statements import Statements
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
            Statements(config.members),
        )
        if restored.tip.height == config.base_height:
            self._state.tip_certificate = b""
        for boundary in restored.recent:
            self._state.extend(boundary)
        self._state.truncated_height = restored.tip.height
        restore_entries(self._state, restored.journal)
        for packed in restored.evidence:
            evidence = unpack_evidence(packed)
            self._state.evidence[evidence.id] = evidence
            if is_of_epoch(evidence, config.epoch, config.first_size):
                self._state.culprits[evidence.culprit] = None

    def __repr__(self) -> str:
        state, slot = self._state, self._state.slot
        words = [state.config.me, f"view={state.view}", state.phase, f"height={state.tip.height}"]
        if state.is_primary:
            words.append("primary")
        if slot.vote is not None:
            words.append(f"vote={slot.vote.block_id[:6]}@{slot.vote.view}")
        if slot.prepared is not None:
            words.append(f"prepared={slot.prepared.block.block_id[:6]}@{slot.prepared.view}")
        if slot.storing:
            words.append("storing")
        cosigned = state.signer.size if state.signer is not None else 0
        words.append(f"pending={len(state.pool)} cosigned={cosigned} sealed={state.checkpoints.sealed_size}")
        return f"<{' '.join(words)}>"

    @property
    def state(self) -> State:
        """For reading: metrics, /cluster, and the simulator's oracles."""
        return self._state

    def step(self, now_ms: int, event: events.Event) -> list[Effect]:
        """Take one event at the driver's clock; return the effects to perform, in order."""
        state = self._state
        state.now_ms += max(0, now_ms - state.wall_ms)
        state.wall_ms = now_ms
        _HANDLERS[type(event)](state, event)
        if not _is_about_pool(event):
            _go_on(state)
        elif state.phase != "stopped":
            normal.propose(state)
        effects, state.out = state.out, []
        return effects


def _go_on(state: State) -> None:
    """Whatever the event has made possible, in the order of a block's life. Each step asks whether it may."""
    if state.phase == "stopped":
        return
    view_change.leave_if_suspected(state)
    view_change.announce_new_view(state)
    view_change.vote_on_named_block(state)
    normal.prepare_if_quorum(state)
    commit.send_commit(state)
    commit.commit_if_quorum(state)
    sync.take_synced(state)
    commit.store_committed(state)
    cosigning.cosign_if_agreed(state)
    sync.fetch_named_block(state)
    sync.ask_if_behind(state)
    normal.propose(state)


def _on_start(state: State, _event: events.Start) -> None:
    """Begin: patience starts now, the signer's last line is repeated, and all others are told where this replica is."""
    state.progress_ms = state.view_since_ms = state.now_ms
    if state.config.quorum == 1:
        state.greeted_ms = state.now_ms
    if state.signer is not None and state.signer.size == state.tip.size and state.signer.root != state.tip.root:
        return state.stop("diverged", f"the ledger's root at size {state.tip.size} is not the one that was cosigned")
    if state.signer is not None and state.signer.epoch == state.config.epoch and state.signer.size <= state.tip.size:
        state.send(cosigning.take_own_line(state))
    cosigning.say_executed(state)
    status.tell_status(state)


def _on_tick(state: State, _event: events.Tick) -> None:
    state.slot.nothing_to_build = False
    status.tell_status(state)
    if state.phase == "stopped":
        return
    state.pool.expire(state.wall_ms)
    suspicion.note_wants(state)
    reason = suspicion.reason_to_suspect(state)
    if reason is not None:
        view_change.suspect(state, reason)


def _on_submitted(state: State, event: events.Submitted) -> None:
    """A client's record: kept, and passed on once to everybody, so that everybody waits for it (consensus.md 2.3)."""
    message = RequestMessage(event.record_id, event.record, pack_attachments(event.attachments))
    if event.record_id in state.pool or state.phase == "stopped":
        return
    frame = encode_frame(message)
    if not state.pool.add(event.record_id, frame, state.now_ms, event.expires_ms):
        return state.emit(Refused(event.record_id))
    state.slot.nothing_to_build = False
    state.send_frame(frame)


def _on_admitted(state: State, event: events.Admitted) -> None:
    message = RequestMessage(event.record_id, event.record, pack_attachments(event.attachments))
    state.pool.answered(event.record_id)
    if state.phase != "stopped":
        state.pool.add(event.record_id, encode_frame(message), state.now_ms, event.expires_ms)
        state.slot.nothing_to_build = False


def _on_rejected(state: State, event: events.Rejected) -> None:
    """What a peer passed on is not admitted; a record of the same id that a client brought meanwhile stays."""
    if not state.pool.answered(event.record_id):
        state.pool.remove((event.record_id,))


def _on_agenda(state: State, event: events.Agenda) -> None:
    state.agenda = event
    state.stop_if_outdated(event.rules, f"block {state.height}")
    state.checkpoints.agenda = event
    state.slot.nothing_to_build = False
    suspicion.note_wants(state)


def _on_accused(state: State, event: events.Accused) -> None:
    try:
        accusation.on_accused(state, event.evidence)
    except Malformed:
        state.count("malformed")


def _on_halted(state: State, event: events.Halted) -> None:
    state.stop(event.reason, event.detail)


def _on_stored(state: State, event: events.Stored) -> None:
    """The next height begins: votes for it that came early are looked at again."""
    height = state.tip.height
    commit.on_stored(state, event)
    if state.tip.height > height:
        cosigning.stop_if_contradicted(state, state.tip.size)
        early, state.early = state.early, {}
        for (carrier, _), message in early.items():
            _handle(state, carrier, message)


def _on_received(state: State, event: events.Received) -> None:
    try:
        _handle(state, event.sender, decode_frame(event.frame))
    except Malformed:
        state.count("malformed")


def _handle(state: State, carrier: str, message: Message) -> None:
    if carrier not in state.config.members:
        return status.serve_guest(state, carrier, message)
    if isinstance(message, EvidenceMessage):
        return accusation.on_evidence(state, message)
    accusation.observe(state, message)
    if accusation.voter_of(message) in state.culprits:
        return state.count("culprit")
    if state.phase == "stopped" and not isinstance(message, SyncRequest | Status | Release):
        return
    if isinstance(message, PrePrepareMessage | Signed | CommitMessage) and _keep_early(state, carrier, message):
        return
    try:
        if isinstance(message, Signed):
            _SIGNED[type(message.body)](state, message)
        else:
            _MESSAGES[type(message)](state, carrier, message)
    except Malformed:
        state.count("malformed")


def _keep_early(state: State, carrier: str, message: PrePrepareMessage | Signed[Any] | CommitMessage) -> bool:
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
    if height <= state.height:
        return False
    if height == state.height + 1:
        kind = type(message.body).__name__ if isinstance(message, Signed) else type(message).__name__
        state.early[carrier, kind] = message
    sync.note_height(state, carrier, max(state.sync.heights.get(carrier, 0), height - 1))
    return True


def _on_request(state: State, carrier: str, message: RequestMessage) -> None:
    """A peer passes a record on. Asked of the driver once; the claimed id saves judging again what is pending."""
    attachments = unpack_attachments(message.attachments)
    if state.pool.ask(message.record_id):
        state.emit(Admit(message.record_id, message.record, attachments, carrier))


_SIGNED: dict[type, Callable[[State, Any], Any]] = {
    Prepare: normal.on_prepare,
    Executed: commit.on_executed,
    Suspect: view_change.on_suspect,
}

_MESSAGES: dict[type, Callable[[State, str, Any], None]] = {
    PrePrepareMessage: lambda state, _carrier, message: normal.on_pre_prepare(state, message),
    CommitMessage: lambda state, _carrier, message: commit.on_commit(state, message),
    ViewChangeMessage: lambda state, _carrier, message: view_change.on_view_change(state, message),
    NewViewMessage: lambda state, _carrier, message: view_change.on_new_view(state, message),
    Cosign: lambda state, _carrier, message: cosigning.on_cosign(state, message),
    Status: status.on_status,
    Release: status.on_release,
    RequestMessage: _on_request,
    Fetch: sync.on_fetch,
    BatchMessage: lambda state, _carrier, message: sync.on_batch(state, message),
    SyncRequest: sync.on_sync_request,
    SyncReplyMessage: lambda state, _carrier, message: sync.on_sync_reply(state, message),
}

_ABOUT_POOL = frozenset({events.Submitted, events.Admitted, events.Rejected})
"""Events that change the pending records only, several for each record: all they can make possible is to propose."""


def _is_about_pool(event: events.Event) -> bool:
    return type(event) in _ABOUT_POOL or (type(event) is events.Received and passes_record(event.frame))


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
    events.Accused: _on_accused,
    events.BlocksRead: sync.on_blocks_read,
    events.Halted: _on_halted,
}
