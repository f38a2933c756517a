"""Rules of server.gateway.wechat, against a simulated WeChat that runs as a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from server.gateway.clock import SystemClock
from server.gateway.wechat import TOKEN_MARGIN_MS, WechatClient, WechatFailed, WechatFault, WechatIdentity, WechatPhone
from tests.simulators.process import running_simulator

LOGIN, TOKEN, PHONE = "/sns/jscode2session", "/cgi-bin/stable_token", "/wxa/business/getuserphonenumber"
SECRET = "very-secret"
TWO_HOURS_MS = 7_200_000


class HandClock(SystemClock):
    """Mutable. A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0

    def monotonic_ms(self) -> int:
        return self.now


class Simulator:
    """What a test asks of the simulator besides being WeChat."""

    def __init__(self, address: str, client: aiohttp.ClientSession) -> None:
        self.address = address
        self._client = client
        self._before: dict[str, int] = {}

    async def begin(self) -> None:
        """Count calls from here on."""
        self._before = await self._counts()

    async def ask(self, path: str, /, **members: object) -> dict[str, object]:
        async with self._client.post(f"{self.address}/simulator/{path}", json=members) as response:
            assert response.status == 200
            found = await response.json()
            assert isinstance(found, dict)
            return found

    async def login_code(self, openid: str = "o-user", **more: str) -> str:
        return str((await self.ask("codes", openid=openid, **more))["code"])

    async def phone_code(self, **members: str) -> str:
        return str((await self.ask("phone-codes", **({"phone": "13800138000"} | members)))["code"])

    async def calls(self, path: str) -> int:
        return (await self._counts()).get(path, 0) - self._before.get(path, 0)

    async def _counts(self) -> dict[str, int]:
        async with self._client.get(f"{self.address}/simulator/calls") as response:
            found: dict[str, int] = await response.json()
            return found


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running_simulator("wechat", "--appid", "wxapp", "--secret", SECRET) as found:
        yield found


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def simulator(address: str, client: aiohttp.ClientSession) -> Simulator:
    found = Simulator(address, client)
    await found.ask("tokens/revoke")
    await found.begin()
    return found


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def wechat(address: str, client: aiohttp.ClientSession, clock: HandClock) -> WechatClient:
    return WechatClient(client, address + "/", "wxapp", SECRET, clock, pauses_s=(0.0, 0.0))


async def fault_of(call: object) -> WechatFault:
    assert asyncio.iscoroutine(call)
    with pytest.raises(WechatFailed) as caught:
        await call
    assert SECRET not in repr(caught.value)
    assert caught.value.__cause__ is None
    return caught.value.fault


async def test_a_login_code_names_its_user_once(simulator: Simulator, wechat: WechatClient) -> None:
    code = await simulator.login_code("o-one", unionid="u-one")
    assert await wechat.identify(code) == WechatIdentity("o-one", "u-one")
    assert await fault_of(wechat.identify(code)) is WechatFault.CODE_USED
    assert await wechat.identify(await simulator.login_code("o-two")) == WechatIdentity("o-two", "")


async def test_session_key_and_openid_stay_out_of_logs(simulator: Simulator, wechat: WechatClient) -> None:
    identity = await wechat.identify(await simulator.login_code("o-one"))
    assert not hasattr(identity, "session_key")
    assert "o-one" not in repr(identity)
    assert "13800138000" not in repr(await wechat.phone_number(await simulator.phone_code()))


async def test_a_code_older_than_five_minutes_is_invalid(simulator: Simulator, wechat: WechatClient) -> None:
    young, old = await simulator.login_code(), await simulator.login_code()
    await simulator.ask("clock", advance_ms=290_000)
    assert (await wechat.identify(young)).openid == "o-user"
    await simulator.ask("clock", advance_ms=10_000)
    assert await fault_of(wechat.identify(old)) is WechatFault.CODE_INVALID


@pytest.mark.parametrize("code", ["", "a" * 257, "a b", "a&appid=other", "码", "a\n"])
async def test_what_cannot_be_a_code_is_not_sent(simulator: Simulator, wechat: WechatClient, code: str) -> None:
    assert await fault_of(wechat.identify(code)) is WechatFault.CODE_INVALID
    assert await fault_of(wechat.phone_number(code)) is WechatFault.CODE_INVALID
    assert await simulator.calls(LOGIN) == await simulator.calls(TOKEN) == 0


async def test_an_unknown_code_is_invalid(wechat: WechatClient) -> None:
    assert await fault_of(wechat.identify("0" * 32)) is WechatFault.CODE_INVALID
    assert await fault_of(wechat.phone_number("0" * 32)) is WechatFault.CODE_INVALID


async def test_a_phone_code_gives_the_number_once(simulator: Simulator, wechat: WechatClient) -> None:
    code = await simulator.phone_code()
    assert await wechat.phone_number(code) == WechatPhone("86", "13800138000")
    assert await fault_of(wechat.phone_number(code)) is WechatFault.CODE_USED
    abroad = await simulator.phone_code(phone="91234567", country_code="852")
    assert await wechat.phone_number(abroad) == WechatPhone("852", "91234567")


async def test_a_number_given_to_another_app_is_not_taken(simulator: Simulator, wechat: WechatClient) -> None:
    code = await simulator.phone_code(appid="wxother")
    assert await fault_of(wechat.phone_number(code)) is WechatFault.UNAVAILABLE


async def test_one_token_serves_until_shortly_before_its_end(
    simulator: Simulator, wechat: WechatClient, clock: HandClock
) -> None:
    for _ in range(3):
        await wechat.phone_number(await simulator.phone_code())
    assert await simulator.calls(TOKEN) == 1
    clock.now = TWO_HOURS_MS - TOKEN_MARGIN_MS - 2_000
    await wechat.phone_number(await simulator.phone_code())
    assert await simulator.calls(TOKEN) == 1
    clock.now = TWO_HOURS_MS - TOKEN_MARGIN_MS
    await wechat.phone_number(await simulator.phone_code())
    assert await simulator.calls(TOKEN) == 2


async def test_many_callers_at_once_ask_for_one_token(simulator: Simulator, wechat: WechatClient) -> None:
    codes = [await simulator.phone_code() for _ in range(10)]
    assert len(await asyncio.gather(*map(wechat.phone_number, codes))) == 10
    assert await simulator.calls(TOKEN) == 1


async def test_a_token_that_ended_early_is_renewed_without_loss_of_the_code(
    simulator: Simulator, wechat: WechatClient
) -> None:
    await wechat.phone_number(await simulator.phone_code())
    await simulator.ask("tokens/revoke")
    assert (await wechat.phone_number(await simulator.phone_code())).number == "13800138000"
    assert await simulator.calls(TOKEN) == 2


async def test_a_token_that_never_works_is_given_up(simulator: Simulator, wechat: WechatClient) -> None:
    await simulator.ask("faults", path=PHONE, errcode=42001, times=2)
    assert await fault_of(wechat.phone_number(await simulator.phone_code())) is WechatFault.UNAVAILABLE
    assert await simulator.calls(PHONE) == 2


async def test_busy_wechat_is_asked_three_times(simulator: Simulator, wechat: WechatClient) -> None:
    await simulator.ask("faults", path=LOGIN, errcode=-1, times=2)
    assert (await wechat.identify(await simulator.login_code())).openid == "o-user"
    await simulator.ask("faults", path=LOGIN, errcode=-1, times=3)
    assert await fault_of(wechat.identify(await simulator.login_code())) is WechatFault.UNAVAILABLE
    assert await simulator.calls(LOGIN) == 6


@pytest.mark.parametrize(
    ("errcode", "fault"),
    [
        (40029, WechatFault.CODE_INVALID),
        (40163, WechatFault.CODE_USED),
        (45011, WechatFault.LIMITED),
        (45009, WechatFault.LIMITED),
        (40226, WechatFault.BLOCKED),
        (40013, WechatFault.MISCONFIGURED),
        (40125, WechatFault.MISCONFIGURED),
        (99999, WechatFault.UNAVAILABLE),
    ],
)
async def test_wechats_faults_have_stable_names(
    simulator: Simulator, wechat: WechatClient, errcode: int, fault: WechatFault
) -> None:
    await simulator.ask("faults", path=LOGIN, errcode=errcode)
    assert await fault_of(wechat.identify(await simulator.login_code())) is fault
    assert await simulator.calls(LOGIN) == 1


async def test_an_answer_that_nobody_can_read_is_unavailable(simulator: Simulator, wechat: WechatClient) -> None:
    for status in (200, 302, 502):  # each with an empty body
        await simulator.ask("faults", path=LOGIN, status=status)
        assert await fault_of(wechat.identify(await simulator.login_code())) is WechatFault.UNAVAILABLE


async def test_wrong_app_or_secret_is_the_operators_matter(
    address: str, client: aiohttp.ClientSession, simulator: Simulator
) -> None:
    for appid, secret in (("wxwrong", SECRET), ("wxapp", "wrong")):
        wechat = WechatClient(client, address, appid, secret, HandClock())
        assert await fault_of(wechat.identify(await simulator.login_code())) is WechatFault.MISCONFIGURED
        assert await fault_of(wechat.phone_number(await simulator.phone_code())) is WechatFault.MISCONFIGURED


async def test_a_wechat_that_is_away_is_unavailable(client: aiohttp.ClientSession) -> None:
    wechat = WechatClient(client, "http://127.0.0.1:1", "wxapp", SECRET, HandClock())
    assert await fault_of(wechat.identify("0" * 32)) is WechatFault.UNAVAILABLE
    assert await fault_of(wechat.phone_number("0" * 32)) is WechatFault.UNAVAILABLE
