"""Noticing contradictions, and what follows: evidence is kept, told to everybody, and its culprit no longer counted.

Not to count somebody only makes quorums harder, so it is safe before all have the evidence. What others certified with
the culprit's signature stays certified. A replica that has stopped goes on looking: at a fork the culprit is found by
what both sides then show each other (consensus.md 1.3, the transcript rule).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from server.consensus.certificates import read_certificate
from server.consensus.effects import KeepEvidence
from server.consensus.evidence import RETIRED_KEY, Evidence, accuse_of_split, is_of_epoch, unpack_evidence
from server.consensus.judgement import verify
from server.consensus.messages import (
    Commit,
    CommitMessage,
    Cosign,
    EvidenceMessage,
    Message,
    NewViewMessage,
    Prepare,
    PrePrepareMessage,
    Signed,
    SyncReplyMessage,
    ViewChangeMessage,
)
from server.consensus.retirement import ending_of
from server.consensus.state import State
from server.record.canonical import Malformed, b64u_decode, b64u_encode

HEIGHTS_BACK = 128
"""Votes for heights further back are not looked at: their places are no longer remembered."""
EVIDENCE_KEPT_MAX = 8
"""Of one culprit: one is enough to name it."""


def observe(state: State, message: Message) -> None:
    """Compare every statement that a message brings with what its signer said before."""
    if isinstance(message, Cosign):
        return observe_line(state, message)
    for statement in statements_of(message):
        _observe(state, statement)


def voter_of(message: Message) -> str:
    """The member whose vote a message is; empty for what is none.

    A NEW-VIEW is none: it is proved by the VIEW-CHANGEs in it. If it were dropped by those who know its primary to be
    a culprit, and not by those who do not yet, they would wait for ever in different views.
    """
    if isinstance(message, PrePrepareMessage):
        return message.prepare.body.sender
    if isinstance(message, CommitMessage):
        return message.commit.body.sender
    if isinstance(message, ViewChangeMessage):
        return message.change.body.sender
    if isinstance(message, Signed):
        return str(message.body.sender)
    return message.member if isinstance(message, Cosign) else ""


def statements_of(message: Message) -> Iterator[Signed[Any]]:
    """Every vote, VIEW-CHANGE and NEW-VIEW that a message brings, in its certificates too; unchecked."""
    if isinstance(message, PrePrepareMessage):
        yield message.prepare
    elif isinstance(message, Signed):
        if isinstance(message.body, Prepare):
            yield message
    elif isinstance(message, CommitMessage):
        yield message.commit
    elif isinstance(message, ViewChangeMessage):
        yield from _statements_of_change(message)
    elif isinstance(message, NewViewMessage):
        yield message.new_view
        for change in message.changes:
            yield from _statements_of_change(change)
    elif isinstance(message, SyncReplyMessage):
        for _, certificate in message.blocks:
            yield from _read(Commit, certificate)


def _statements_of_change(message: ViewChangeMessage) -> Iterator[Signed[Any]]:
    yield message.change
    yield from _read(Commit, message.last)
    yield from _read(Prepare, message.prepared)


def _read(shape: type[Any], certificate: bytes) -> list[Signed[Any]]:
    try:
        return read_certificate(shape, certificate)
    except Malformed:
        return []


def _observe(state: State, statement: Signed[Any]) -> None:
    body = statement.body
    if body.sender not in state.config.members or body.epoch != state.config.epoch:
        return
    if isinstance(body, Prepare | Commit) and not -HEIGHTS_BACK < body.height - state.height <= 1:
        return
    if state.statements.knows(statement) or not state.certifier.signed(statement):
        return
    evidence = state.statements.note(statement)
    if evidence is not None:
        convict(state, evidence)


def observe_line(state: State, line: Cosign) -> None:
    """Compare a verified checkpoint line with what its member signed at that size: E5."""
    held = state.checkpoints.line(line.member, line.size)
    if held is None or b64u_encode(held.root) == line.root:
        return
    if not state.keyring.verify_cosignature(line.member, line.size, b64u_decode(line.root, 32), line.line):
        return state.count("bad_signature")
    other = Cosign(line=held.text, member=line.member, root=b64u_encode(held.root), size=held.size)
    evidence = accuse_of_split(other, line)
    if evidence is not None:
        convict(state, evidence)


def on_evidence(state: State, message: EvidenceMessage) -> None:
    """Evidence that a peer has brought: verified like one's own, unless enough is known against its culprit."""
    evidence = unpack_evidence(message.evidence)
    if evidence.offence == RETIRED_KEY:
        return _on_retired(state, evidence, is_asked=False)
    if evidence.culprit not in state.config.members or evidence.id in state.evidence:
        return None
    if len(_against(state, evidence.culprit)) >= EVIDENCE_KEPT_MAX:
        return None
    verify(evidence, state.certifier, state.keyring)
    return convict(state, evidence)


def on_accused(state: State, packed: bytes) -> None:
    """Evidence that a phone has brought, or that a proposal names: the driver keeps it however much is known, because a
    proposal that names it can be judged only with it."""
    evidence = unpack_evidence(packed)
    if evidence.offence == RETIRED_KEY:
        return _on_retired(state, evidence, is_asked=True)
    if evidence.culprit not in state.config.members or evidence.id in state.evidence:
        return None
    verify(evidence, state.certifier, state.keyring)
    if len(_against(state, evidence.culprit)) < EVIDENCE_KEPT_MAX:
        return convict(state, evidence)
    return state.emit(KeepEvidence(evidence))


def _on_retired(state: State, evidence: Evidence, *, is_asked: bool) -> None:
    """Evidence of a retired key: one is enough for each key. `is_asked`: a proposal may name just this one."""
    key = ending_of(state.config, evidence).key_name(evidence.culprit)
    if key in state.retired and not is_asked:
        return
    verify(evidence, state.certifier, state.keyring)
    if key in state.retired:
        state.emit(KeepEvidence(evidence))
    else:
        convict_retired(state, key, evidence)


def convict_retired(state: State, key: str, evidence: Evidence) -> None:
    """Keep verified evidence of a retired key, and tell everybody. It bars nobody: what is signed with that key counts
    for nothing anyway, and new keys are the remedy for old ones that others have got hold of (DESIGN.md D33)."""
    state.retired[key] = evidence
    state.count("evidence")
    state.emit(KeepEvidence(evidence))
    state.send(EvidenceMessage(evidence.packed))


def recall(state: State, evidence: Evidence) -> None:
    """Know again what was verified and kept before a start."""
    if evidence.offence == RETIRED_KEY:
        ending = next((one for one in state.config.endings if one.entry == evidence.second.raw), None)
        if ending is not None:  # of an epoch that has not ended in a ledger put back from a copy: known again then
            state.retired.setdefault(ending.key_name(evidence.culprit), evidence)
    else:
        state.evidence[evidence.id] = evidence
        if is_of_epoch(evidence, state.config.epoch, state.config.first_size):
            state.culprits[evidence.culprit] = None


def convict(state: State, evidence: Evidence) -> None:
    """Keep verified evidence, tell everybody, and count its culprit no longer. Against oneself: stop, at once."""
    if evidence.id in state.evidence or len(_against(state, evidence.culprit)) >= EVIDENCE_KEPT_MAX:
        return
    state.evidence[evidence.id] = evidence
    state.count("evidence")
    state.emit(KeepEvidence(evidence))
    state.send(EvidenceMessage(evidence.packed))
    if not is_of_epoch(evidence, state.config.epoch, state.config.first_size):
        return
    if evidence.culprit == state.config.me:
        state.stop("twin", f"something was signed twice with the key of {state.config.me}: {evidence.offence}")
    else:
        disregard(state, evidence.culprit)


def disregard(state: State, culprit: str) -> None:
    """Drop what the culprit said of the height and the view in flight."""
    slot = state.slot
    for table in (slot.prepares, slot.commits, slot.executed, state.executed, state.suspects, state.changes):
        table.pop(culprit, None)
    state.culprits[culprit] = None


def _against(state: State, culprit: str) -> list[Evidence]:
    return [evidence for evidence in state.evidence.values() if evidence.culprit == culprit]
