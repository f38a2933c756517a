"""STATUS: each replica says where it stands; a peer sends what is missing. Nothing is ever rebroadcast blindly.

So a lost frame costs one STATUS interval, and what was sent once is sent again, from stored bytes, as long as somebody
lacks it (Fabric #1917: VIEW-CHANGEs that were never sent again left a network dead).
"""

from __future__ import annotations

from server.consensus.block import pack_block
from server.consensus.config import FIRST_RULES, RELEASE_AGE_MAX
from server.consensus.cosigning import cosign_message, say_executed
from server.consensus.effects import NoteRelease
from server.consensus.evidence import is_of_epoch
from server.consensus.messages import (
    EvidenceMessage,
    Held,
    Message,
    PrePrepareMessage,
    Release,
    Status,
    SyncRequest,
)
from server.consensus.normal import is_proposal
from server.consensus.state import State
from server.consensus.sync import ask_for_proof_of_fork, note_height, on_sync_request


def tell_status(state: State) -> None:
    """Tell all others where this replica stands, and which rules its release knows, once in each interval."""
    if state.status_ms is not None and state.now_ms - state.status_ms < state.config.timeouts.status_ms:
        return
    state.status_ms = state.now_ms
    state.send(own_status(state))
    _age_releases(state)
    if state.config.rules > FIRST_RULES:
        state.send(Release(rules=state.config.rules))


def serve_guest(state: State, guest: str, message: Message) -> None:
    """Somebody who is no member of this epoch, not yet or no longer: it is shown blocks, and nothing of it is believed.

    It asks by its STATUS how far this replica is, and is told whose fault a fork was: it may follow one side of it.
    """
    if isinstance(message, SyncRequest):
        on_sync_request(state, guest, message)
    elif isinstance(message, Status):
        _send_evidence(state, guest, message)
        is_elsewhere = message.height > 0 and state.recent.get(message.height, message.tip) != message.tip
        if message.height < state.tip.height or is_elsewhere:
            state.send(own_status(state), guest)


def own_status(state: State) -> Status:
    """Where this replica stands."""
    slot, members = state.slot, state.config.members
    newest = [(member, state.checkpoints.newest(member)) for member in members]
    return Status(
        accused=tuple(member for member in members if member in state.culprits),
        attachments_missing=slot.missing_ms is not None,
        commits=tuple(
            member for member in members if member in slot.commits and slot.commits[member].body.view == state.view
        ),
        cosigned=tuple(Held(member=member, size=line.size) for member, line in newest if line is not None),
        executed=tuple(member for member in members if member in state.executed),
        height=state.tip.height,
        mode=state.phase,
        prepares=tuple(
            member for member in members if member in slot.prepares and slot.prepares[member].body.view == state.view
        ),
        size=state.tip.size,
        tip=state.tip.block_id if state.tip.height else "",
        view=state.view,
        voted=_proposal_at_hand(state),
    )


def on_release(state: State, sender: str, release: Release) -> None:
    """A peer tells which rules its release knows."""
    state.release_ages[sender] = 0
    _note_release(state, sender, release.rules)


def _age_releases(state: State) -> None:
    """Who has not said so for many intervals is away, or has gone back to a release that sends no RELEASE."""
    for member in [member for member, rules in state.releases.items() if rules > FIRST_RULES]:
        state.release_ages[member] += 1
        if state.release_ages[member] > RELEASE_AGE_MAX:
            _note_release(state, member, FIRST_RULES)


def _note_release(state: State, sender: str, rules: int) -> None:
    """Tell the driver when it is news."""
    if state.releases.get(sender, FIRST_RULES) != rules:
        state.releases[sender] = rules
        state.emit(NoteRelease(sender, rules))


def _proposal_at_hand(state: State) -> str:
    """The block voted for in this view, or the one proposed in it that the driver is checking: no need to send it."""
    if state.slot.vote is not None and state.slot.vote.view == state.view:
        return state.slot.vote.block_id
    proposed = state.slot.prepares.get(state.primary(state.view))
    checking = (
        proposed is not None and proposed.body.view == state.view and proposed.body.block_id in state.slot.checking
    )
    return proposed.body.block_id if proposed is not None and checking else ""


def on_status(state: State, sender: str, status: Status) -> None:
    """A peer tells where it stands: send it what it lacks. Nothing it says is believed beyond that."""
    note_height(state, sender, status.height)
    state.note_heard(sender)
    _send_evidence(state, sender, status)
    if state.phase == "stopped":
        return _send_transcript(state, sender, status)
    ask_for_proof_of_fork(state, sender, status.height, status.tip)
    _send_view(state, sender, status)
    if status.height == state.tip.height:
        _send_executed(state, sender, status)
        _send_back(state, sender, status)
        if status.view == state.view and state.phase == "normal" and status.mode == "normal":
            _send_votes(state, sender, status)
    _send_cosignatures(state, sender, status)
    for frame in state.pool.to_resend(sender, state.now_ms, 2 * state.config.timeouts.status_ms):
        state.send_frame(frame, sender)


def _send_evidence(state: State, sender: str, status: Status) -> None:
    """The first evidence of this epoch against each culprit that the peer does not know, and of each retired key."""
    config, told = state.config, dict.fromkeys(status.accused)
    for known in state.evidence.values():
        is_news = known.culprit in state.culprits and known.culprit not in told
        if is_news and is_of_epoch(known, config.epoch, config.first_size):
            told[known.culprit] = None
            state.send(EvidenceMessage(known.packed), sender)
    # A STATUS has no place to say which of these it knows: they are told until they stand in the log.
    for key, retired in state.retired.items():
        if key not in state.agenda.retired:
            state.send(EvidenceMessage(retired.packed), sender)


def _send_transcript(state: State, sender: str, status: Status) -> None:
    """Two that stopped at a fork show each other how they came to their views: so a culprit is found who voted in one
    and hid it from the other (consensus.md 1.3, the transcript rule)."""
    if status.mode == "stopped" and state.installed is not None:
        state.send(state.installed.message, sender)


def _send_view(state: State, sender: str, status: Status) -> None:
    """To a peer behind in views, or waiting in the own: the NEW-VIEW if there is one, else the own VIEW-CHANGE.

    In the own view only the primary needs a VIEW-CHANGE.
    """
    if state.suspicion is not None and status.view <= state.view:
        state.send(state.suspicion, sender)
    if status.view > state.view or (status.view == state.view and status.mode != "changing"):
        return
    if state.installed is not None:
        state.send(state.installed.message, sender)
    elif state.change is not None and (status.view < state.view or sender == state.primary(state.view)):
        state.send(state.change[0], sender)


def _send_executed(state: State, sender: str, status: Status) -> None:
    """Own EXECUTED of the tip, until the peer holds it or has cosigned the tip."""
    if any(known.member == sender and known.size >= state.tip.size for known in status.cosigned):
        return
    say_executed(state)
    mine = state.executed.get(state.config.me)
    if mine is not None and state.config.me not in status.executed:
        state.send(mine, sender)


def _send_votes(state: State, sender: str, status: Status) -> None:
    """Own votes of this view at the height in flight that the peer does not hold, unless they were sent just now."""
    vote, me = state.slot.vote, state.config.me
    if vote is None or vote.view != state.view or state.now_ms - vote.since_ms < state.config.timeouts.status_ms:
        return
    if not status.voted and is_proposal(state):
        state.send(PrePrepareMessage(vote.prepare, pack_block(state.slot.blocks[vote.block_id])), sender)
    elif me not in status.prepares:
        state.send(vote.prepare, sender)
    if state.slot.commit_sent is not None and me not in status.commits:
        state.send(state.slot.commit_sent, sender)


def _send_back(state: State, sender: str, status: Status) -> None:
    """The peer's own vote at the height in flight, if it does not seem to know it: its folder may be an old copy."""
    vote = state.slot.prepares.get(sender)
    if vote is not None and vote.body.view >= status.view and sender not in status.prepares:
        state.send(vote, sender)
    change = state.changes.get(sender)
    if change is not None and change.change.body.view > status.view:
        state.send(change, sender)


def _send_cosignatures(state: State, sender: str, status: Status) -> None:
    """The newest line of every member, also of the peer, that it does not hold: lines prove themselves."""
    held = {known.member: known.size for known in status.cosigned}
    for member in state.config.members:
        line = state.checkpoints.newest(member)
        if line is not None and held.get(member, 0) < line.size:
            state.send(cosign_message(member, line), sender)
