"""Noticing signatures with retired keys in whatever frames bring: votes, proofs, blocks, checkpoint lines (E8).

Guests are listened to as well, for it is whoever was put out that may go on signing: nothing is believed of them, but
what they signed stands for itself. What it proves is for `retirement`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from server.consensus.accusation import convict_retired, statements_of
from server.consensus.block import unpack_block
from server.consensus.config import Ending
from server.consensus.effects import ProveRetired
from server.consensus.messages import (
    Commit,
    Cosign,
    Message,
    Prepare,
    PrePrepareMessage,
    Signed,
    SyncReplyMessage,
    ViewChange,
    ViewChangeMessage,
)
from server.consensus.retirement import accuse_of_vote, is_signed_then
from server.consensus.state import State
from server.record.canonical import Malformed, b64u_decode, encode


def observe(state: State, message: Message) -> None:
    """Look for signatures of retired keys that follow the end of their epoch."""
    if not state.config.endings:
        return
    if isinstance(message, Cosign):
        return _observe_line(state, message)
    for statement in statements_of(message):
        for ending in state.config.endings:
            if statement.body.sender in ending.voters and _is_past(ending, statement):
                _observe_vote(state, ending, statement, message)


def _observe_line(state: State, line: Cosign) -> None:
    """A line that is not good with its member's key of today may be one with a key of before.

    Only under a tree of the own log: a line under another one is what an honest member at a fork may sign.
    """
    root = b64u_decode(line.root, 32)
    if not any(line.member in ending.cosigners for ending in state.config.endings):
        return
    is_member = line.member in state.config.members
    if is_member and state.keyring.verify_cosignature(line.member, line.size, root, line.line):
        return  # with its new key; found good once, it costs nothing to find it good again
    for ending in state.config.endings:
        if line.member not in ending.cosigners or line.size < ending.size or _is_known(state, line.member, ending):
            continue
        if not state.checkpoints.is_own(line.size, root):
            return
        if state.keyring.verify_line_of(line.member, ending.epoch, line.size, root, line.line):
            state.emit(ProveRetired(line, ending))


def _is_past(ending: Ending, statement: Signed[Any]) -> bool:
    body = statement.body
    if isinstance(body, ViewChange):
        return bool(body.last_height == ending.height)
    return isinstance(body, Prepare | Commit) and body.height == ending.height + 1


def _observe_vote(state: State, ending: Ending, statement: Signed[Any], message: Message) -> None:
    if _is_known(state, statement.body.sender, ending):
        return
    block_id = getattr(statement.body, "block_id", "")
    for header in _headers(state, block_id, message):
        evidence = accuse_of_vote(state.config, ending, statement, header)
        if evidence is not None and is_signed_then(statement, ending, state.keyring):
            return convict_retired(state, ending.key_name(evidence.culprit), evidence)


def _headers(state: State, block_id: str, message: Message) -> Iterator[bytes]:
    """Headers that the block voted for may have: those that came along, and that of the block in flight."""
    if isinstance(message, ViewChangeMessage):
        yield message.header
    blocks = [message.block] if isinstance(message, PrePrepareMessage) else []
    if isinstance(message, SyncReplyMessage):
        blocks = [packed for packed, _ in message.blocks]
    for packed in blocks:
        try:
            yield encode(unpack_block(state.config.cluster_id, packed).header)
        except Malformed:
            continue
    held = state.slot.blocks.get(block_id)
    if held is not None:
        yield encode(held.header)
    yield b""


def _is_known(state: State, member: str, ending: Ending) -> bool:
    return ending.key_name(member) in state.retired
