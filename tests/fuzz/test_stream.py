"""The bytes of a connection between nodes, in whatever pieces TCP brings them, and whatever they are."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from server.limits import FRAME_BYTES_MAX
from server.node.transport import Connection, Peers
from tests.fuzz.changes import changed

CERTIFICATE = b"the certificate of b"
FRAMES = st.lists(st.binary(max_size=40), max_size=8)


class Wire(asyncio.Transport):
    """A TLS connection to the holder of a certificate, as asyncio gives it. Nothing is sent."""

    def __init__(self, tcp: socket.socket) -> None:
        super().__init__({"socket": tcp, "ssl_object": self})
        self.is_cut = False

    def getpeercert(self, binary_form: bool) -> bytes:
        return CERTIFICATE

    def is_closing(self) -> bool:
        return self.is_cut

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: Any) -> None:
        assert not self.is_cut

    def abort(self) -> None:
        self.is_cut = True


def frame(content: bytes, channel: int = 0) -> bytes:
    return struct.pack(">IB", len(content), channel) + content


async def feed(pieces: Sequence[bytes]) -> tuple[list[bytes], bool]:
    """The messages that arrive when a connection is given these pieces, and whether it hung up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    peers = Peers({"b": CERTIFICATE}, (context, context))
    got: list[bytes] = []
    peers.on_message = lambda member, message: got.append(message)
    with socket.socket() as tcp:
        wire, connection = Wire(tcp), Connection(peers, "b")
        connection.connection_made(wire)
        for piece in pieces:
            if wire.is_cut:
                break
            connection.data_received(piece)
        await asyncio.sleep(0)
        connection.connection_lost(None)
        await peers.close()
    return got, wire.is_cut


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    """The stream in pieces."""
    ends = sorted({place % (len(stream) + 1): None for place in places})
    return [stream[begin:end] for begin, end in zip([0, *ends], [*ends, len(stream)], strict=True)]


@settings(max_examples=100)
@given(FRAMES, st.lists(st.integers(0, 400), max_size=12))
def test_frames_arrive_whole_and_in_order_in_whatever_pieces(frames: list[bytes], places: list[int]) -> None:
    pieces = cut(b"".join(map(frame, frames)), places)
    assert asyncio.run(feed(pieces)) == (frames, False)


CALL = frame(struct.pack(">QB", 1, 5) + b"photo" + b"name", channel=1)
ANSWER = frame(struct.pack(">Q", 1) + b"picture", channel=2)
FAILURE = frame(struct.pack(">Q", 1) + b"no", channel=3)
STREAMS = [frame(b"one") + CALL + frame(b"two"), ANSWER + FAILURE + frame(b"three"), CALL * 3]


@settings(max_examples=150)
@given(changed(STREAMS) | st.binary(max_size=60), st.lists(st.integers(0, 400), max_size=6))
def test_any_bytes_are_frames_or_hung_up_on(stream: bytes, places: list[int]) -> None:
    """Nothing is raised; in one piece or in many, the same messages arrive."""
    got, is_cut = asyncio.run(feed([stream]))
    assert asyncio.run(feed(cut(stream, places))) == (got, is_cut)
    assert sum(map(len, got)) <= len(stream)


def test_a_frame_that_claims_too_much_is_hung_up_on_before_it_is_waited_for() -> None:
    head = struct.pack(">IB", FRAME_BYTES_MAX + 1, 0)
    assert asyncio.run(feed([frame(b"one"), head])) == ([b"one"], True)
    assert asyncio.run(feed([frame(b"one") + head[:4], head[4:]])) == ([b"one"], True)
