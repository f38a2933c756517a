"""Frames in words: for transcripts that read as stories, and for looking at a failing seed."""

from __future__ import annotations

from server.consensus.block import read_header
from server.consensus.frames import decode_frame, frame_name
from server.consensus.messages import (
    Body,
    CommitMessage,
    Cosign,
    Fetch,
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
from server.consensus.packing import unpack
from server.record.canonical import Malformed


def describe(frame: bytes) -> str:
    """One line about a frame. Ids are cut to six characters."""
    try:
        message = decode_frame(frame)
    except Malformed as error:
        return f"{len(frame)} bytes of nothing: {str(error)[:60]}"
    name = frame_name(frame).upper()
    if isinstance(message, PrePrepareMessage):
        items = unpack(unpack(message.block, 3)[1])
        return f"{name} {_place(message.prepare)} with {len(items)} items"
    if isinstance(message, CommitMessage):
        executed = message.executed.body
        return f"{name} {_place(message.commit)}, executed to size {executed.size}"
    if isinstance(message, ViewChangeMessage):
        return f"{name} {_change(message)}"
    if isinstance(message, NewViewMessage):
        body = message.new_view.body
        block = f"block {body.block_id[:6]}" if body.block_id else "no block"
        return f"{name} view {body.view}, base {body.base_height}, {block}"
    if isinstance(message, RequestMessage):
        return f"{name} {message.record_id}"
    if isinstance(message, SyncReplyMessage):
        heights = [read_header(unpack(block, 3)[0]).height for block, _ in message.blocks]
        return f"{name} blocks {heights[0]} to {heights[-1]}"
    return f"{name} {_rest(message)}".rstrip()


def kind_of(frame: bytes) -> str:
    """The type of a frame; empty for what is none."""
    try:
        return frame_name(frame)
    except (IndexError, Malformed):
        return ""


def _rest(message: object) -> str:
    if isinstance(message, Signed) and isinstance(message.body, Prepare):
        return _place(message)
    if isinstance(message, Signed) and isinstance(message.body, Suspect):
        return f"view {message.body.view}, because of a {message.body.reason}"
    if isinstance(message, Cosign):
        return f"size {message.size} by {message.member}"
    if isinstance(message, Status):
        return f"view {message.view} {message.mode}, height {message.height}, size {message.size}"
    if isinstance(message, SyncRequest):
        return f"from block {message.from_height}"
    if isinstance(message, Fetch):
        return f"block {message.block_id[:6]}"
    return ""


def _place(message: Signed) -> str:  # type: ignore[type-arg]
    body = message.body
    assert isinstance(body, Body)
    return f"view {body.view} height {body.height} block {body.block_id[:6]}"  # type: ignore[attr-defined]


def _change(message: ViewChangeMessage) -> str:
    body = message.change.body
    prepared = (
        f"prepared {body.prepared_block[:6]} in view {body.prepared_view}" if body.prepared_block else "none prepared"
    )
    return f"to view {body.view}, last block {body.last_height}, {prepared}"
