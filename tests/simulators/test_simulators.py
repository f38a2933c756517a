"""Rules of the simulators themselves: they refuse what the real services refuse, and only this machine reaches them."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from tests.simulators.process import running_simulator

MESSAGE = {"id": "one", "phone": "13800138000", "template": "code", "values": {"code": "123456"}}
TOKEN = {"Authorization": "Bearer demo"}


@pytest.fixture(scope="module", params=["sms", "wechat"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    with running_simulator(request.param) as found:
        yield found


@pytest.fixture(scope="module")
def sms_address() -> Iterator[str]:
    with running_simulator("sms") as found:
        yield found


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def test_a_simulator_listens_on_loopback_only(address: str) -> None:
    assert address.startswith("http://127.0.0.1:")
    port = int(address.rpartition(":")[2])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; tells this machine's own address
        own = probe.getsockname()[0]
    if own == "127.0.0.1":
        return
    with pytest.raises(OSError), socket.create_connection((own, port), timeout=2):  # noqa: PT011
        pass


async def test_bad_input_is_400_and_no_fault_of_the_server(address: str, client: aiohttp.ClientSession) -> None:
    for body in (b"", b"{", b"[]", b'"text"', b"\xff"):
        async with client.post(address + "/simulator/faults", data=body) as response:
            assert response.status == 400


async def test_a_message_is_kept_once_an_id_and_shown_by_phone(sms_address: str, client: aiohttp.ClientSession) -> None:
    for phone in ("13800138000", "13800138000", "13900139000"):
        message = MESSAGE | {"phone": phone, "id": "id-" + phone}
        async with client.post(sms_address + "/messages", json=message, headers=TOKEN) as response:
            assert response.status == 202
    async with client.get(sms_address + "/outbox", params={"phone": "13800138000"}) as response:
        assert await response.json() == {"messages": [MESSAGE | {"id": "id-13800138000"}]}
    async with client.get(sms_address + "/outbox", params={"phone": "13700137000"}) as response:
        assert await response.json() == {"messages": []}


@pytest.mark.parametrize(
    ("changes", "headers", "status"),
    [
        ({}, {}, 401),
        ({}, {"Authorization": "Bearer wrong"}, 401),
        ({"phone": "12345"}, TOKEN, 422),
        ({"phone": 13800138000}, TOKEN, 400),
        ({"values": "123456"}, TOKEN, 400),
        ({"more": 1}, TOKEN, 400),
    ],
)
async def test_a_message_that_no_gateway_would_take_is_refused(
    sms_address: str,
    client: aiohttp.ClientSession,
    changes: dict[str, object],
    headers: dict[str, str],
    status: int,
) -> None:
    async with client.post(sms_address + "/messages", json=MESSAGE | changes, headers=headers) as response:
        assert response.status == status
