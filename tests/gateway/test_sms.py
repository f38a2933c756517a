"""Rules of server.gateway.sms, against a gateway that runs as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from server.gateway import http_answer
from server.gateway.sms import HttpSms, SmsFailed, SmsFault, SmsMessage
from tests.simulators.process import running_simulator

PHONE = "13800138000"
NO_PAUSES = (0.0, 0.0)


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    with running_simulator("sms", "--token", "right") as address:
        yield address


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def sms(gateway: str, client: aiohttp.ClientSession) -> HttpSms:
    return HttpSms(client, gateway + "/messages", "right", pauses_s=NO_PAUSES)


def message(phone: str = PHONE) -> SmsMessage:
    return SmsMessage(phone, "sign_in", {"code": "482913"})


async def outbox(gateway: str, client: aiohttp.ClientSession, sent: SmsMessage) -> list[dict[str, object]]:
    async with client.get(gateway + "/outbox", params={"phone": sent.phone}) as response:
        return [found for found in (await response.json())["messages"] if found["id"] == sent.id]


async def plan(gateway: str, client: aiohttp.ClientSession, status: int, times: int) -> None:
    async with client.post(gateway + "/simulator/faults", json={"status": status, "times": times}) as response:
        assert response.status == 200


async def calls(gateway: str, client: aiohttp.ClientSession) -> int:
    async with client.get(gateway + "/simulator/calls") as response:
        return int((await response.json()).get("/messages", 0))


async def fault_of(sms: HttpSms, sent: SmsMessage) -> SmsFault:
    with pytest.raises(SmsFailed) as caught:
        await sms.send(sent)
    for secret in (sent.phone, "482913", "right"):
        assert secret not in repr(caught.value)
    assert caught.value.__cause__ is None
    return caught.value.fault


async def test_a_message_reaches_the_gateway_whole(gateway: str, client: aiohttp.ClientSession, sms: HttpSms) -> None:
    sent = message()
    await sms.send(sent)
    expected = {"id": sent.id, "phone": PHONE, "template": "sign_in", "values": {"code": "482913"}}
    assert await outbox(gateway, client, sent) == [expected]


async def test_a_gateway_that_stumbles_twice_is_asked_a_third_time(
    gateway: str, client: aiohttp.ClientSession, sms: HttpSms
) -> None:
    await plan(gateway, client, 503, 2)
    sent = message()
    await sms.send(sent)
    assert len(await outbox(gateway, client, sent)) == 1


async def test_a_gateway_that_keeps_failing_is_given_up_after_three_attempts(
    gateway: str, client: aiohttp.ClientSession, sms: HttpSms
) -> None:
    before = await calls(gateway, client)
    await plan(gateway, client, 500, 3)
    assert await fault_of(sms, message()) is SmsFault.UNAVAILABLE
    assert await calls(gateway, client) == before + 3


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (429, SmsFault.LIMITED),
        (400, SmsFault.REFUSED),
        (422, SmsFault.REFUSED),
        (401, SmsFault.MISCONFIGURED),
        (403, SmsFault.MISCONFIGURED),
    ],
)
async def test_what_is_refused_is_not_tried_again(
    gateway: str, client: aiohttp.ClientSession, sms: HttpSms, status: int, fault: SmsFault
) -> None:
    before = await calls(gateway, client)
    await plan(gateway, client, status, 1)
    assert await fault_of(sms, message()) is fault
    assert await calls(gateway, client) == before + 1


async def test_a_wrong_token_is_the_operators_matter(gateway: str, client: aiohttp.ClientSession) -> None:
    assert await fault_of(HttpSms(client, gateway + "/messages", "wrong"), message()) is SmsFault.MISCONFIGURED


async def test_a_redirect_is_not_followed(gateway: str, client: aiohttp.ClientSession, sms: HttpSms) -> None:
    before = await calls(gateway, client)
    await plan(gateway, client, 307, 3)
    assert await fault_of(sms, message()) is SmsFault.UNAVAILABLE
    assert await calls(gateway, client) == before + 3


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/messages", "not an address", "http://[::1"])
async def test_an_address_where_nobody_answers_is_one_clear_error(client: aiohttp.ClientSession, url: str) -> None:
    assert await fault_of(HttpSms(client, url, "right", pauses_s=NO_PAUSES), message()) is SmsFault.UNAVAILABLE


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\n\r\n" + bytes(http_answer.ANSWER_BYTES_MAX + 1), b"junk\r\n\r\n"]
)
async def test_silence_flood_and_junk_are_given_up(
    client: aiohttp.ClientSession, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_answer, "CALL_TIMEOUT_S", 0.2)

    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if not answer:
            await reader.read()  # until the other side gives up
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.ensure_future(talk(reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        sms = HttpSms(client, f"http://127.0.0.1:{port}/", "right", pauses_s=NO_PAUSES)
        assert await fault_of(sms, message()) is SmsFault.UNAVAILABLE
        await asyncio.gather(*talks)
    assert len(talks) == 3


def test_a_message_shows_neither_phone_nor_values_in_any_log() -> None:
    assert PHONE not in repr(message())
    assert "482913" not in str(message())


@pytest.mark.parametrize(
    ("phone", "values"),
    [("12345", {}), ("+8613800138000", {}), (PHONE, {"code": "1" * 65}), (PHONE, dict.fromkeys("abcdefghi", "1"))],
)
def test_a_message_that_no_operator_would_send_cannot_be_made(phone: str, values: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"not a mobile|too many"):
        SmsMessage(phone, "sign_in", values)
