"""Authenticated connections between nodes: TLS 1.3 with pinned certificates, length-prefixed frames, small calls.

Each node opens one connection to each peer and sends on it; answers to calls come back on the same connection. Frames
that find a full queue are dropped: consensus asks again by STATUS. It must not know what a frame says.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from base64 import b64encode
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import cast

import structlog

from server.limits import FRAME_BYTES_MAX, PEER_CALLS_BYTES_MAX, PEER_CALLS_MAX, PEER_QUEUE_BYTES_MAX

log = structlog.get_logger()
_MESSAGE, _CALL, _ANSWER, _FAILURE = 0, 1, 2, 3
_HEAD = struct.Struct(">IB")
_CALL_HEAD = struct.Struct(">QB")
_ANSWER_HEAD = struct.Struct(">Q")
_RECONNECT_S = (0.05, 0.1, 0.2, 0.5, 1.0)
CALL_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 5.0
"""For TCP and TLS each: a host that vanished answers nothing at all, and its SYN would be tried for two minutes."""
SILENCE_MS_MAX = 5_000
"""A connection whose other end acknowledges nothing for so long is dead: STATUS goes out four times a second."""
CLOSE_S = 1.0

Receive = Callable[[str, bytes], None]
Handler = Callable[[str, bytes], Awaitable[bytes]]


class CallFailed(Exception):
    """A peer did not answer, or answered that it cannot."""


def tls_context(certificate: str, key: str, pinned: Mapping[str, bytes], *, server: bool) -> ssl.SSLContext:
    """TLS 1.3 with our certificate and only the members' certificates trusted.

    Args: paths of PEM files; DER certificates by member.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(cadata="".join(_pem(der) for der in pinned.values()))
    return context


def _pem(der: bytes) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{b64encode(der).decode()}\n-----END CERTIFICATE-----\n"


class Connection(asyncio.Protocol):
    """Mutable. One TLS connection: cuts the byte stream into frames and corks what is sent in one turn of the loop."""

    def __init__(self, peers: Peers, expected: str | None) -> None:
        self._peers = peers
        self._expected = expected
        self._received = bytearray()
        self._wanted = 0
        self._corked: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.member = ""
        self.calls: dict[int, asyncio.Future[bytes]] = {}
        self._last_call = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Know the peer by its pinned certificate; hang up on anybody else."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's TLS transport does not derive from it
        _notice_death(transport.get_extra_info("socket"))
        tls = transport.get_extra_info("ssl_object")
        self.member = self._peers.member_of(tls.getpeercert(binary_form=True) if tls else None)
        if not self.member or self._expected not in (None, self.member):
            log.warning("peer_unknown", expected=self._expected, member=self.member)
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the calls that wait for an answer."""
        for call in self.calls.values():
            if not call.done():
                call.set_exception(CallFailed("the connection was lost"))
        self.calls.clear()
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Cut frames; a frame over the bound ends the connection."""
        if self._received:
            self._received += data
            if len(self._received) < self._wanted:
                return
            data, self._received = bytes(self._received), bytearray()
        begin = 0
        while len(data) - begin >= _HEAD.size:
            length, channel = _HEAD.unpack_from(data, begin)
            if length > FRAME_BYTES_MAX:
                log.warning("peer_frame_too_large", member=self.member, length=length)
                self.abort()
                return
            end = begin + _HEAD.size + length
            if end > len(data):
                break
            self._peers.on_frame(self, channel, data[begin + _HEAD.size : end])
            begin = end
        self._keep_rest(data[begin:])

    def _keep_rest(self, rest: bytes) -> None:
        """The beginning of a frame waits until the whole of it is here: no byte is looked at twice."""
        self._received += rest
        self._wanted = _HEAD.size + (_HEAD.unpack_from(rest)[0] if len(rest) >= _HEAD.size else 0)

    def send(self, channel: int, *parts: bytes) -> bool:
        """Queue a frame; False when the connection is down, its queue is full, or the peer would hang up on it."""
        transport, length = self._transport, sum(map(len, parts))
        if transport is None or transport.is_closing() or transport.get_write_buffer_size() > PEER_QUEUE_BYTES_MAX:
            return False
        if length > FRAME_BYTES_MAX:
            log.error("frame_too_large", member=self.member, length=length)
            return False
        if not self._corked:
            asyncio.get_running_loop().call_soon(self._uncork)
        self._corked.append(_HEAD.pack(length, channel))
        self._corked.extend(parts)
        return True

    def _uncork(self) -> None:
        data, self._corked = b"".join(self._corked), []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def call(self, method: str, payload: bytes) -> asyncio.Future[bytes]:
        """Send a call; the future gets the answer."""
        self._last_call += 1
        number = self._last_call
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.calls[number] = answer
        answer.add_done_callback(lambda _: self.calls.pop(number, None))
        name = method.encode()
        if not self.send(_CALL, _CALL_HEAD.pack(number, len(name)), name, payload):
            answer.set_exception(CallFailed("the peer is not connected"))
        return answer

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()


class Peers:
    """Mutable. All connections of one node."""

    def __init__(
        self,
        certificates: Mapping[str, bytes],
        contexts: tuple[ssl.SSLContext, ssl.SSLContext],
        callers: Collection[str] | None = None,
    ) -> None:
        """`certificates`: DER, of everybody who may connect. `callers`: the members among them; all by default.

        The others are guests: they are sent frames that answer theirs, and neither asked nor given anything by calls.
        """
        self._callers = frozenset(certificates if callers is None else callers)
        self._members = {der: member for member, der in certificates.items()}
        self._server_context, self._client_context = contexts
        self.on_message: Receive = lambda member, frame: None
        self.on_hangup: Callable[[str], object] = lambda member: None
        """Told the member whose connection to this node has ended."""
        self._handlers: dict[str, Handler] = {}
        self._for_guests: set[str] = set()
        self._outgoing: dict[str, Connection] = {}
        self._incoming: set[Connection] = set()
        self._running: dict[str, dict[asyncio.Task[None], int]] = {member: {} for member in certificates}
        self._server: asyncio.Server | None = None

    def handle(self, method: str, handler: Handler, *, for_guests: bool = False) -> None:
        """Answer calls of `method` with `handler(member, payload)`; of members only, unless it is for guests too."""
        self._handlers[method] = handler
        if for_guests:
            self._for_guests.add(method)

    def member_of(self, certificate: bytes | None) -> str:
        """The member that a certificate is pinned to, or empty."""
        return self._members.get(certificate or b"", "")

    async def listen(self, host: str, port: int) -> None:
        """Accept the peers' connections."""

        def accept() -> Connection:
            connection = Connection(self, None)
            self._incoming.add(connection)
            connection.closed.add_done_callback(lambda _: self._let_go(connection))
            return connection

        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(accept, host, port, ssl=self._server_context, reuse_address=True)

    def _let_go(self, connection: Connection) -> None:
        self._incoming.discard(connection)
        self.on_hangup(connection.member)

    async def keep_connected(self, member: str, host: str, port: int) -> None:
        """Hold one connection to a peer for ever, trying again with short pauses."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            try:
                async with asyncio.timeout(2 * CONNECT_TIMEOUT_S):
                    _, connection = await loop.create_connection(
                        lambda: Connection(self, member),
                        host,
                        port,
                        ssl=self._client_context,
                        server_hostname=member,
                        ssl_handshake_timeout=CONNECT_TIMEOUT_S,
                    )
            except (OSError, ssl.SSLError, TimeoutError):
                failures += 1
                await asyncio.sleep(_RECONNECT_S[min(failures, len(_RECONNECT_S)) - 1])
                continue
            failures = 0
            self._outgoing[member] = connection
            log.info("peer_connected", member=member)
            try:
                await asyncio.shield(connection.closed)
            finally:
                self._outgoing.pop(member, None)
                connection.abort()
            log.info("peer_lost", member=member)
            await asyncio.sleep(_RECONNECT_S[0])

    def connected(self) -> list[str]:
        """Members that we have a connection to: whom calls go to, with all that is private in them."""
        return sorted(self._callers.intersection(self._outgoing))

    def reaches(self, node: str) -> bool:
        """Whether we have a connection to this node, be it a member's or a guest's."""
        return node in self._outgoing

    def knows(self, member: str) -> bool:
        """Whether a connection to this node could be told from one to anybody else."""
        return member in self._running

    def send(self, member: str, frame: bytes) -> bool:
        """Send a frame to a member; False when it was dropped."""
        connection = self._outgoing.get(member)
        return connection is not None and connection.send(_MESSAGE, frame)

    async def call(self, member: str, method: str, payload: bytes, timeout_s: float = CALL_TIMEOUT_S) -> bytes:
        """Ask a peer and wait for its answer. Raises CallFailed."""
        connection = self._outgoing.get(member)
        if connection is None:
            raise CallFailed(f"{member} is not connected")
        try:
            async with asyncio.timeout(timeout_s):
                return await connection.call(method, payload)
        except TimeoutError:
            raise CallFailed(f"{member} did not answer {method}") from None

    def on_frame(self, connection: Connection, channel: int, frame: bytes) -> None:
        """Hand a frame on: messages to consensus, calls to their handlers, answers to who waits."""
        if not connection.member:
            return  # we have hung up on it
        if channel == _MESSAGE:
            self.on_message(connection.member, frame)
        elif channel == _CALL and len(frame) >= _CALL_HEAD.size:
            self._begin_answer(connection, frame)
        elif channel in (_ANSWER, _FAILURE) and len(frame) >= _ANSWER_HEAD.size:
            (number,) = _ANSWER_HEAD.unpack_from(frame)
            waiting = connection.calls.get(number)
            if waiting is not None and not waiting.done():
                body = frame[_ANSWER_HEAD.size :]
                if channel == _ANSWER:
                    waiting.set_result(body)
                else:
                    waiting.set_exception(CallFailed(body.decode("utf-8", "replace")))

    def _begin_answer(self, connection: Connection, frame: bytes) -> None:
        """Answer beside everything else, a bounded number of calls of one peer at a time."""
        running = self._running[connection.member]
        if len(running) >= PEER_CALLS_MAX or sum(running.values()) + len(frame) > PEER_CALLS_BYTES_MAX:
            (number, _) = _CALL_HEAD.unpack_from(frame)
            connection.send(_FAILURE, _ANSWER_HEAD.pack(number), b"too many calls at a time")
            return
        task = asyncio.get_running_loop().create_task(self._answer(connection, frame), name="peer-call")
        running[task] = len(frame)
        task.add_done_callback(running.pop)

    async def _answer(self, connection: Connection, frame: bytes) -> None:
        number, length = _CALL_HEAD.unpack_from(frame)
        begin = _CALL_HEAD.size + length
        method = frame[_CALL_HEAD.size : begin].decode("ascii", "replace")
        handler = self._handlers.get(method)
        head = _ANSWER_HEAD.pack(number)
        try:
            if connection.member not in self._callers and method not in self._for_guests:
                raise CallFailed("only members are answered")
            if handler is None:
                raise CallFailed("no such call")
            connection.send(_ANSWER, head, await handler(connection.member, frame[begin:]))
        except (CallFailed, ValueError, OSError) as error:
            connection.send(_FAILURE, head, str(error)[:200].encode())

    async def close(self) -> None:
        """Hang up, and let go of the calls under way."""
        if self._server is not None:
            self._server.close()
        connections = [*self._outgoing.values(), *self._incoming]
        for connection in connections:
            connection.abort()
        for task in [task for running in self._running.values() for task in running]:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if connections:
            await asyncio.wait([connection.closed for connection in connections], timeout=CLOSE_S)


def _notice_death(connected: socket.socket) -> None:
    """Have the system end a connection whose other end is gone without a word (RFC 5482 for what was sent)."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_MS_MAX)
