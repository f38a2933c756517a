"""Frames: a message and its bytes on the wire. The first part names the type, the others are that type's.

It knows shapes only; who may say what, and when, is for the handlers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

from server.consensus.config import FRAME_BYTES_MAX, SYNC_BLOCKS_MAX
from server.consensus.messages import (
    BatchMessage,
    Body,
    Commit,
    CommitMessage,
    Cosign,
    EvidenceMessage,
    Executed,
    Fetch,
    Message,
    NewView,
    NewViewMessage,
    Prepare,
    PrePrepareMessage,
    Release,
    RequestMessage,
    Signed,
    SignedBody,
    Status,
    Suspect,
    SyncReplyMessage,
    SyncRequest,
    ViewChange,
    ViewChangeMessage,
    decode_body,
    read_body,
    read_release,
)
from server.consensus.packing import pack, unpack
from server.record.canonical import Malformed, encode

VIEW_CHANGES_MAX = 16
RECORD_ID_BYTES_MAX = 64
_SIGNED_NAMES: dict[type[SignedBody], bytes] = {
    Prepare: b"prepare",
    Executed: b"executed",
    Suspect: b"suspect",
}
_BODY_NAMES: dict[type[Body], bytes] = {
    Cosign: b"cosign",
    Status: b"status",
    Fetch: b"fetch",
    SyncRequest: b"sync-request",
}


@singledispatch
def encode_frame(message: Message | Body) -> bytes:
    """The frame of a message. What was signed is copied, never encoded again."""
    raise AssertionError(message)


@encode_frame.register
def _(message: Signed) -> bytes:  # type: ignore[type-arg]
    return pack([_SIGNED_NAMES[type(message.body)], message.raw, message.signature])


@encode_frame.register
def _(message: Body) -> bytes:
    return pack([_BODY_NAMES[type(message)], encode(message)])


@encode_frame.register
def _(message: Release) -> bytes:
    return pack([b"release", encode(message)])


@encode_frame.register
def _(message: PrePrepareMessage) -> bytes:
    return pack([b"pre-prepare", message.prepare.raw, message.prepare.signature, message.block])


@encode_frame.register
def _(message: CommitMessage) -> bytes:
    commit, executed = message.commit, message.executed
    return pack([b"commit", commit.raw, commit.signature, executed.raw, executed.signature])


@encode_frame.register
def _(message: ViewChangeMessage) -> bytes:
    change = message.change
    proofs = [message.last, message.suspects, message.prepared, message.header]
    return pack([b"view-change", change.raw, change.signature, *proofs])


@encode_frame.register
def _(message: NewViewMessage) -> bytes:
    changes = pack([encode_frame(change) for change in message.changes])
    return pack([b"new-view", message.new_view.raw, message.new_view.signature, changes])


@encode_frame.register
def _(message: RequestMessage) -> bytes:
    return pack([b"request", message.record_id.encode(), message.record, message.attachments])


@encode_frame.register
def _(message: EvidenceMessage) -> bytes:
    return pack([b"evidence", message.evidence])


@encode_frame.register
def _(message: BatchMessage) -> bytes:
    return pack([b"batch", message.block])


@encode_frame.register
def _(message: SyncReplyMessage) -> bytes:
    return pack([b"sync-reply", pack([pack(pair) for pair in message.blocks])])


def decode_frame(frame: bytes) -> Message:
    """The message of a frame. Raises Malformed, whatever the bytes are."""
    if len(frame) > FRAME_BYTES_MAX:
        raise Malformed("the frame is too large")
    parts = unpack(frame, most=8)
    if not parts:
        raise Malformed("the frame is empty")
    reader = _READERS.get(parts[0])
    if reader is None:
        raise Malformed("a frame of an unknown type")
    count, read = reader
    if len(parts) - 1 != count:
        raise Malformed("the frame has too few or too many parts")
    return read(parts[1:])


_REQUEST_HEAD = pack([b"request"])


def passes_record(frame: bytes) -> bool:
    """Does a frame, if it is well formed, pass a record on? Most frames do under load; this reads no more than that."""
    return frame.startswith(_REQUEST_HEAD)


def frame_name(frame: bytes) -> str:
    """The type of a frame, for counters and traces. Raises Malformed."""
    parts = unpack(frame, most=8)
    if not parts:
        raise Malformed("the frame is empty")
    return parts[0].decode("ascii", "replace")


def _read_pre_prepare(parts: list[bytes]) -> Message:
    return PrePrepareMessage(read_body(Prepare, parts[0], parts[1]), parts[2])


def _read_commit(parts: list[bytes]) -> Message:
    return CommitMessage(read_body(Commit, parts[0], parts[1]), read_body(Executed, parts[2], parts[3]))


def _read_view_change(parts: list[bytes]) -> ViewChangeMessage:
    raw, signature, last, suspects, prepared, header = parts
    return ViewChangeMessage(read_body(ViewChange, raw, signature), last, suspects, prepared, header)


def _read_new_view(parts: list[bytes]) -> Message:
    changes = []
    for frame in unpack(parts[2], most=VIEW_CHANGES_MAX):
        change = decode_frame(frame)
        if not isinstance(change, ViewChangeMessage):
            raise Malformed("a NEW-VIEW holds something else than VIEW-CHANGEs")
        changes.append(change)
    return NewViewMessage(read_body(NewView, parts[0], parts[1]), tuple(changes))


def _read_request(parts: list[bytes]) -> Message:
    if not parts[0].isascii() or not 0 < len(parts[0]) <= RECORD_ID_BYTES_MAX:
        raise Malformed("not a record id")
    return RequestMessage(parts[0].decode(), parts[1], parts[2])


def _read_sync_reply(parts: list[bytes]) -> Message:
    pairs = [unpack(pair, 2) for pair in unpack(parts[0], most=SYNC_BLOCKS_MAX)]
    return SyncReplyMessage(tuple((block, certificate) for block, certificate in pairs))


_READERS: dict[bytes, tuple[int, Callable[[list[bytes]], Message]]] = {
    b"pre-prepare": (3, _read_pre_prepare),
    b"prepare": (2, lambda parts: read_body(Prepare, parts[0], parts[1])),
    b"commit": (4, _read_commit),
    b"executed": (2, lambda parts: read_body(Executed, parts[0], parts[1])),
    b"suspect": (2, lambda parts: read_body(Suspect, parts[0], parts[1])),
    b"view-change": (6, _read_view_change),
    b"new-view": (3, _read_new_view),
    b"cosign": (1, lambda parts: decode_body(Cosign, parts[0])),
    b"status": (1, lambda parts: decode_body(Status, parts[0])),
    b"release": (1, lambda parts: read_release(parts[0])),
    b"request": (3, _read_request),
    b"fetch": (1, lambda parts: decode_body(Fetch, parts[0])),
    b"evidence": (1, lambda parts: EvidenceMessage(parts[0])),
    b"batch": (1, lambda parts: BatchMessage(parts[0])),
    b"sync-request": (1, lambda parts: decode_body(SyncRequest, parts[0])),
    b"sync-reply": (1, _read_sync_reply),
}
