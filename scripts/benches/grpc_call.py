"""Unary gRPC calls over one HTTP/2 connection, one after the other: as little of both as a load needs.

RFC 9113 (HTTP/2), RFC 7541 (HPACK, literals only) and gRPC's PROTOCOL-HTTP2. Headers that come back are not read: a
call that fails has no message, which is seen as well. It must not know what is called.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8
_END_STREAM, _END_HEADERS, _ACK = 0x1, 0x4, 0x1
_PADDED = 0x8
_WINDOW_MORE = 2**31 - 1 - 65_535
"""All that a peer may ever be allowed to send on a connection (RFC 9113, 6.9.1): answers are small."""
_STREAM_MAX = 2**31 - 1
_MESSAGE_HEAD = 5
"""gRPC: a byte for compression and four for the length."""


class CallFailed(Exception):
    """A call was answered without a message, or the connection was closed."""


class GrpcConnection:
    """Mutable. One connection; calls must not overlap.

    What we may send is never short: a server gives its window back as it reads, and only one call is on its way.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str) -> None:
        self._reader, self._writer = reader, writer
        self._authority = authority
        self._stream = 1
        writer.write(_PREFACE + _frame(_SETTINGS, 0, 0) + _frame(_WINDOW, 0, 0, struct.pack(">I", _WINDOW_MORE)))

    @classmethod
    async def open(cls, host: str, port: int) -> GrpcConnection:
        """Connect. Raises OSError."""
        reader, writer = await asyncio.open_connection(host, port)
        return cls(reader, writer, f"{host}:{port}")

    def close(self) -> None:
        """End the connection."""
        self._writer.close()

    async def call(self, path: str, message: bytes) -> bytes:
        """The answer of a unary call. Raises CallFailed."""
        stream, self._stream = self._stream, self._stream + 2
        if stream > _STREAM_MAX:
            raise CallFailed("a connection has no more streams")
        body = b"\0" + struct.pack(">I", len(message)) + message
        headers = _frame(_HEADERS, _END_HEADERS, stream, _request_headers(path, self._authority))
        self._writer.write(headers + _frame(_DATA, _END_STREAM, stream, body))
        try:
            return await self._answer(path, stream)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise CallFailed(f"{path}: the connection was closed") from error

    async def _answer(self, path: str, stream: int) -> bytes:
        data = b""
        while True:
            kind, flags, where, content = await self._read_frame()
            if kind == _DATA and where == stream:
                assert not flags & _PADDED, "gRPC servers do not pad"
                data += content
            if kind == _GOAWAY or (kind == _RESET and where == stream):
                raise CallFailed(f"{path}: refused with {content!r}")
            if flags & _END_STREAM and kind in (_DATA, _HEADERS) and where == stream:
                break
        if len(data) < _MESSAGE_HEAD:
            raise CallFailed(f"{path}: no message")
        return data[_MESSAGE_HEAD:]

    async def _read_frame(self) -> tuple[int, int, int, bytes]:
        """The next frame; settings and pings are acknowledged here."""
        head = await self._reader.readexactly(9)
        kind, flags = head[3], head[4]
        content = await self._reader.readexactly(int.from_bytes(head[:3]))
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            self._writer.write(_frame(kind, _ACK, 0, content if kind == _PING else b""))
        return kind, flags, int.from_bytes(head[5:]) & _STREAM_MAX, content


def _frame(kind: int, flags: int, stream: int, content: bytes = b"") -> bytes:
    return len(content).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + content


def _request_headers(path: str, authority: str) -> bytes:
    fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)


def _text(value: str) -> bytes:
    """A string literal without Huffman (RFC 7541, 5.2). All of ours are shorter than 127 bytes."""
    assert len(value) < 127
    return bytes((len(value),)) + value.encode("ascii")


def encode_fields(fields: Sequence[tuple[int, bytes | int]]) -> bytes:
    """A protobuf message of byte strings and unsigned numbers."""
    parts = []
    for number, value in fields:
        if isinstance(value, int):
            parts.append(encode_varint(number << 3) + encode_varint(value))
        else:
            parts.append(encode_varint(number << 3 | 2) + encode_varint(len(value)) + value)
    return b"".join(parts)


def encode_varint(value: int) -> bytes:
    """A protobuf varint of an unsigned number."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def decode_fields(message: bytes) -> dict[int, bytes | int]:
    """The fields of a protobuf message that has only varints and byte strings; the last one of a number wins.

    Raises ValueError for anything else.
    """
    fields: dict[int, bytes | int] = {}
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        value, at = _read_varint(message, at)
        if tag & 7 == 0:
            fields[tag >> 3] = value
        elif tag & 7 == 2 and at + value <= len(message):
            fields[tag >> 3] = message[at : at + value]
            at += value
        else:
            raise ValueError(f"field {tag >> 3} is neither a number nor bytes")
    return fields


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(message):
            break
        value |= (message[at] & 0x7F) << shift
        at += 1
        if message[at - 1] < 0x80:
            return value, at
    raise ValueError("a varint does not end")
