"""Connections between nodes: only members with their pinned certificates, frames whole and in order, calls answered."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import keys
from server.limits import FRAME_BYTES_MAX
from server.node import transport
from server.node.transport import CallFailed, Peers, tls_context
from server.record.canonical import b64u_decode

ORGANISATIONS = ("owners", "property", "street")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """Key folders of three organisations and an outsider; the certificates by member."""
    folder = tmp_path_factory.mktemp("keys")
    made = {
        name: keys.make_organisation(folder / name, name, name, [f"officer-{name}"], bytes(32))
        for name in (*ORGANISATIONS, "outsider")
    }
    return folder, {name: b64u_decode(one.transport_certificate) for name, one in made.items()}


def make_peers(folder: Path, me: str, pinned: dict[str, bytes], callers: Collection[str] | None = None) -> Peers:
    """The transport of a member that trusts `pinned`."""
    certificate, key = str(folder / me / "transport.crt"), str(folder / me / "transport.pem")
    server = tls_context(certificate, key, pinned, server=True)
    client = tls_context(certificate, key, pinned, server=False)
    return Peers({name: der for name, der in pinned.items() if name != me}, (server, client), callers)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def connected(sender: Peers, sender_id: str, receiver: Peers, receiver_id: str) -> AsyncIterator[int]:
    """`sender` holds a connection to `receiver`."""
    port = free_port()
    await receiver.listen("127.0.0.1", port)
    task = asyncio.create_task(sender.keep_connected(receiver_id, "127.0.0.1", port))
    try:
        async with asyncio.timeout(5):
            while receiver_id not in sender.connected():
                await asyncio.sleep(0.01)
        yield port
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await sender.close()
        await receiver.close()
        await asyncio.sleep(0.05)


async def receive(got: Sequence[object], count: int) -> None:
    """Wait for frames."""
    async with asyncio.timeout(5):
        while len(got) < count:
            await asyncio.sleep(0.01)


async def test_frames_arrive_whole_in_order_and_under_the_senders_name(
    certificates: tuple[Path, dict[str, bytes]],
) -> None:
    folder, ders = certificates
    pinned = {name: ders[name] for name in ORGANISATIONS}
    street, owners = make_peers(folder, "street", pinned), make_peers(folder, "owners", pinned)
    got: list[tuple[str, bytes]] = []
    owners.on_message = lambda member, frame: got.append((member, frame))
    frames = [b"", b"x", bytes(70_000), *(b"%d" % number for number in range(500)), bytes(FRAME_BYTES_MAX)]
    async with connected(street, "street", owners, "owners"):
        for frame in frames:
            assert street.send("owners", frame)
        await receive(got, len(frames))
    assert got == [("street", frame) for frame in frames]


async def test_a_call_is_answered_or_fails_with_the_peers_words(certificates: tuple[Path, dict[str, bytes]]) -> None:
    folder, ders = certificates
    pinned = {name: ders[name] for name in ORGANISATIONS}
    street, owners = make_peers(folder, "street", pinned), make_peers(folder, "owners", pinned)

    async def double(member: str, payload: bytes) -> bytes:
        if not payload:
            raise CallFailed(f"nothing to double, {member}")
        return payload * 2

    owners.handle("double", double)
    async with connected(street, "street", owners, "owners"):
        answers = await asyncio.gather(*(street.call("owners", "double", b"%d" % number) for number in range(50)))
        assert answers == [b"%d" % number * 2 for number in range(50)]
        with pytest.raises(CallFailed, match="nothing to double, street"):
            await street.call("owners", "double", b"")
        with pytest.raises(CallFailed, match="no such call"):
            await street.call("owners", "halve", b"1")
    with pytest.raises(CallFailed):
        await street.call("property", "double", b"1")


async def test_calls_of_one_peer_that_wait_for_answers_are_bounded_in_number_and_bytes(
    certificates: tuple[Path, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "PEER_CALLS_MAX", 3)
    monkeypatch.setattr(transport, "PEER_CALLS_BYTES_MAX", 1_000)
    folder, ders = certificates
    pinned = {name: ders[name] for name in ORGANISATIONS}
    street, owners = make_peers(folder, "street", pinned), make_peers(folder, "owners", pinned)
    go_on = asyncio.Event()

    async def wait(member: str, payload: bytes) -> bytes:
        await go_on.wait()
        return payload

    async def ask(payload: bytes) -> asyncio.Task[bytes]:
        task = asyncio.create_task(street.call("owners", "wait", payload))
        await asyncio.wait((task,), timeout=0.1)
        return task

    owners.handle("wait", wait)
    async with connected(street, "street", owners, "owners"):
        large, too_large = await ask(b"x" * 600), await ask(b"x" * 600)
        others = [await ask(b"small") for _ in range(3)]
        for declined in (too_large, others[2]):
            with pytest.raises(CallFailed, match="too many calls"):
                await declined
        go_on.set()
        assert await asyncio.gather(large, *others[:2]) == [b"x" * 600, b"small", b"small"]
        assert await street.call("owners", "wait", b"again") == b"again"


async def test_a_frame_that_the_peer_would_hang_up_on_is_not_sent(certificates: tuple[Path, dict[str, bytes]]) -> None:
    folder, ders = certificates
    pinned = {name: ders[name] for name in ORGANISATIONS}
    street, owners = make_peers(folder, "street", pinned), make_peers(folder, "owners", pinned)
    async with connected(street, "street", owners, "owners"):
        assert not street.send("owners", bytes(FRAME_BYTES_MAX + 1))
        assert street.send("owners", b"small")


async def test_who_is_not_pinned_is_not_heard(certificates: tuple[Path, dict[str, bytes]]) -> None:
    folder, ders = certificates
    pinned = {name: ders[name] for name in ORGANISATIONS}
    owners = make_peers(folder, "owners", pinned)
    outsider = make_peers(folder, "outsider", dict(ders))
    got: list[object] = []
    owners.on_message = lambda member, frame: got.append(frame)
    port = free_port()
    await owners.listen("127.0.0.1", port)
    task = asyncio.create_task(outsider.keep_connected("owners", "127.0.0.1", port))
    for _ in range(20):
        outsider.send("owners", b"let me in")
        await asyncio.sleep(0.02)
    assert got == []
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await outsider.close()
    await owners.close()
    await asyncio.sleep(0.05)


async def test_a_member_under_another_members_name_is_hung_up_on(
    certificates: tuple[Path, dict[str, bytes]],
) -> None:
    folder, ders = certificates
    pinned = {name: ders[name] for name in ORGANISATIONS}
    street, owners = make_peers(folder, "street", pinned), make_peers(folder, "owners", pinned)
    port = free_port()
    await owners.listen("127.0.0.1", port)
    task = asyncio.create_task(street.keep_connected("property", "127.0.0.1", port))
    await asyncio.sleep(0.3)
    assert not street.send("property", b"secret of property")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await street.close()
    await owners.close()
    await asyncio.sleep(0.05)


async def test_a_peer_that_comes_back_is_reached_again_and_calls_under_way_fail_at_once(
    certificates: tuple[Path, dict[str, bytes]],
) -> None:
    folder, ders = certificates
    pinned = {name: ders[name] for name in ORGANISATIONS}
    street, owners = make_peers(folder, "street", pinned), make_peers(folder, "owners", pinned)

    async def never(member: str, payload: bytes) -> bytes:
        await asyncio.sleep(60)
        return b""

    owners.handle("never", never)
    async with connected(street, "street", owners, "owners") as port:
        call = asyncio.create_task(street.call("owners", "never", b"", timeout_s=60))
        await asyncio.sleep(0.1)
        await owners.close()
        with pytest.raises(CallFailed, match="lost"):
            await call
        assert not street.send("owners", b"into the void")
        again = make_peers(folder, "owners", pinned)
        got: list[bytes] = []
        again.on_message = lambda member, frame: got.append(frame)
        await again.listen("127.0.0.1", port)
        async with asyncio.timeout(5):
            while not street.send("owners", b"welcome back"):
                await asyncio.sleep(0.01)
        await receive(got, 1)
        await again.close()


async def test_a_host_that_accepts_and_says_nothing_is_tried_again(
    certificates: tuple[Path, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT_S", 0.1)
    folder, ders = certificates
    street = make_peers(folder, "street", {name: ders[name] for name in ORGANISATIONS})
    accepted: list[asyncio.StreamWriter] = []
    mute = await asyncio.start_server(lambda _, writer: accepted.append(writer), "127.0.0.1", 0)
    port = mute.sockets[0].getsockname()[1]
    task = asyncio.create_task(street.keep_connected("owners", "127.0.0.1", port))
    await receive(accepted, 3)
    assert street.connected() == []
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    for writer in accepted:
        writer.close()
    mute.close()
    await street.close()
    await asyncio.sleep(0.05)


async def test_a_connection_whose_other_end_vanished_is_given_up_by_the_system(
    certificates: tuple[Path, dict[str, bytes]],
) -> None:
    """What a test cannot cut is a cable; that both ends ask for it, it can."""
    folder, ders = certificates
    pinned = {name: ders[name] for name in ORGANISATIONS}
    street, owners = make_peers(folder, "street", pinned), make_peers(folder, "owners", pinned)
    got: list[object] = []
    owners.on_message = lambda member, frame: got.append(frame)
    async with connected(street, "street", owners, "owners"):
        assert street.send("owners", b"both ends are up")
        await receive(got, 1)
        for connection in (street._outgoing["owners"], *owners._incoming):
            assert connection._transport is not None
            ends = connection._transport.get_extra_info("socket")
            assert ends.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert ends.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == transport.SILENCE_MS_MAX


async def test_a_guest_is_neither_answered_nor_given_anything_by_a_call(
    certificates: tuple[Path, dict[str, bytes]],
) -> None:
    """Photos and openings go by calls to whoever is connected: that must be members."""
    folder, ders = certificates
    pinned = {name: ders[name] for name in ORGANISATIONS}
    owners = make_peers(folder, "owners", pinned, {"owners", "property"})
    guest = make_peers(folder, "street", pinned)
    guest.handle("photo-given", lambda member, payload: asyncio.sleep(0, b""))
    owners.handle("openings", lambda member, payload: asyncio.sleep(0, b"private"))
    port = free_port()
    await guest.listen("127.0.0.1", port)
    outgoing = asyncio.create_task(owners.keep_connected("street", "127.0.0.1", port))
    async with connected(guest, "street", owners, "owners"):
        async with asyncio.timeout(5):
            while not owners.reaches("street"):
                await asyncio.sleep(0.01)
        assert owners.connected() == []
        with pytest.raises(CallFailed, match="only members"):
            await guest.call("owners", "openings", b"")
        outgoing.cancel()
        await asyncio.gather(outgoing, return_exceptions=True)
