"""Attestation by WeChat: what its codes prove, once, and what the person is told when they prove nothing.

WeChat is the simulator, a process of its own; the node asks it over HTTP as it asks the real one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from server.config import WechatSettings
from server.domain.genesis_rows import trust_of
from server.domain.member import Attestation, is_attested
from server.record.signature import DeviceSigner
from tests.api.running import ME, Site, free_port, running_site
from tests.simulators.process import running_simulator

pytestmark = pytest.mark.asyncio(loop_scope="module")
LOGIN, PHONE = "/sns/jscode2session", "/wxa/business/getuserphonenumber"
SECRET = "very-secret"
ROSTER = """幢号,室号,业主姓名,证件类型,证件号码,手机号,建筑面积,产权份额
1,101,王小明,身份证,11010519491231002X,13800000001,80.00,1
1,102,李娜,身份证,440524188001010014,13800000002,90.00,1
1,103,赵刚,身份证,110101199003078515,13800000002,90.00,1
"""


class Phone:
    """WeChat on somebody's phone: it gives the mini-program codes, as the simulator makes them."""

    def __init__(self, site: Site, wechat: str, number: str) -> None:
        self.site, self.wechat, self.number = site, wechat, number
        self.signer = DeviceSigner.generate()

    async def tell(self, path: str, /, **members: object) -> dict[str, Any]:
        async with self.site.http.post(f"{self.wechat}/simulator/{path}", json=members) as response:
            assert response.status == 200
            return dict(await response.json())

    async def codes(self, **phone: str) -> dict[str, str]:
        """What `wx.login` and `getPhoneNumber` give."""
        login = await self.tell("codes", openid=f"o-{self.number}")
        number = await self.tell("phone-codes", **({"phone": self.number} | phone))
        return {"login_code": str(login["code"]), "phone_code": str(number["code"])}

    async def show(self, codes: dict[str, str]) -> tuple[int, Any]:
        """Show the codes to the node."""
        body = {**codes, "device_key": msgspec.to_builtins(self.signer.public)}
        status, headers, answer = await self.site.ask("POST", "/api/v1/identity/wechat-attestation", json=body)
        if status in (429, 503):
            assert answer["code"] == "wechat_off" or int(headers["Retry-After"]) > 0
        return status, answer


@pytest.fixture(scope="module")
def wechat() -> Iterator[str]:
    with running_simulator("wechat", "--appid", "wxapp", "--secret", SECRET) as address:
        yield address


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(wechat: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A node that asks the simulator, with a roll on which two people share a number."""
    settings = WechatSettings(url=wechat, appid="wxapp", secret=SECRET)
    async with running_site(tmp_path_factory.mktemp("wechat"), wechat=settings) as running:
        await running.import_roster(ROSTER)
        yield running


@pytest.fixture
def phone(site: Site, wechat: str) -> Phone:
    """The phone of somebody on the roll; each test has its own, for tries are counted by number."""
    return Phone(site, wechat, "13800000001")


async def test_number_that_wechat_vouches_for_attests_the_key_and_binds_the_phone(site: Site, phone: Phone) -> None:
    status, attested = await phone.show(await phone.codes())
    assert status == 200
    assert attested["member"] == await site.node.people.member_of_phone(phone.number)
    word = msgspec.convert(attested["attestation"], Attestation)
    trust = trust_of(site.node.genesis, site.node.cluster_id)
    assert is_attested(trust, word, attested["member"], phone.signer.kid)
    assert (word.node, word.evidence) == (ME, "wechat")

    person = site.device()
    person.signer = phone.signer
    body = {
        "attestations": [attested["attestation"]],
        "device_key": msgspec.to_builtins(phone.signer.public),
        "label": "phone",
        "member": attested["member"],
        "privacy_version": 1,
    }
    await person.post(person.sign("device.bind", body, author=attested["member"]))
    await person.open_session()
    info = await person.call("GET", "/api/v1/session")
    assert (info["name"], [unit["label"] for unit in info["units"]]) == ("王小明", ["1-101"])


async def test_each_code_attests_once(phone: Phone) -> None:
    codes = await phone.codes()
    assert (await phone.show(codes))[0] == 200
    status, problem = await phone.show(codes)
    assert (status, problem["code"]) == (401, "wechat_code_invalid")
    login_only = {**await phone.codes(), "phone_code": codes["phone_code"]}
    status, problem = await phone.show(login_only)
    assert (status, problem["code"]) == (401, "wechat_code_invalid")


async def test_unknown_and_old_codes_are_told_apart_from_a_wechat_that_is_away(phone: Phone) -> None:
    old = await phone.codes()
    await phone.tell("clock", advance_ms=300_000)
    for codes in ({"login_code": "0" * 32, "phone_code": "0" * 32}, old):
        status, problem = await phone.show(codes)
        assert (status, problem["code"]) == (401, "wechat_code_invalid")
        assert "微信" in problem["detail"]


async def test_number_that_is_not_on_the_roll_is_said_so(site: Site, wechat: str) -> None:
    stranger = Phone(site, wechat, "13900000009")
    status, problem = await stranger.show(await stranger.codes())
    assert (status, problem["code"]) == (404, "wechat_phone_unknown")


async def test_number_of_two_people_attests_neither(site: Site, wechat: str) -> None:
    shared = Phone(site, wechat, "13800000002")
    status, problem = await shared.show(await shared.codes())
    assert (status, problem["code"]) == (404, "wechat_phone_unknown")


async def test_number_of_another_country_is_nobodys(phone: Phone) -> None:
    status, problem = await phone.show(await phone.codes(country_code="852"))
    assert (status, problem["code"]) == (404, "wechat_phone_unknown")


@pytest.mark.parametrize(
    ("path", "errcode", "status", "code"),
    [
        (LOGIN, 45011, 429, "wechat_limited"),
        (LOGIN, 40226, 403, "wechat_blocked"),
        (LOGIN, 40125, 503, "wechat_off"),
        (LOGIN, -1, 503, "wechat_unavailable"),
        (PHONE, 45009, 429, "wechat_limited"),
        (PHONE, -1, 503, "wechat_unavailable"),
    ],
)
async def test_each_of_wechats_faults_says_what_to_do(
    phone: Phone, path: str, errcode: int, status: int, code: str
) -> None:
    await phone.tell("faults", path=path, errcode=errcode, times=3 if errcode == -1 else 1)
    answered, problem = await phone.show(await phone.codes())
    assert (answered, problem["code"]) == (status, code)
    assert SECRET not in str(problem)


async def test_a_wechat_that_is_down_is_said_so(tmp_path: Any) -> None:
    settings = WechatSettings(url=f"http://127.0.0.1:{free_port()}", appid="wxapp", secret=SECRET)
    async with running_site(tmp_path, wechat=settings) as running:
        phone = Phone(running, "", "13800000001")
        status, problem = await phone.show({"login_code": "0" * 32, "phone_code": "0" * 32})
        assert (status, problem["code"]) == (503, "wechat_unavailable")


async def test_five_attestations_a_day_are_enough_for_a_number(site: Site, wechat: str) -> None:
    caller = Phone(site, wechat, "13900000008")
    answers = [(await caller.show(await caller.codes()))[1]["code"] for _ in range(6)]
    assert answers == ["wechat_phone_unknown"] * 5 + ["tries_used_up"]


async def test_nothing_of_the_codes_or_the_number_is_logged(
    phone: Phone, site: Site, wechat: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    codes = await phone.codes()
    await phone.show(codes)
    await phone.show(codes)
    captured = capsys.readouterr()
    written = captured.out + captured.err + caplog.text
    assert "wechat_login_failed" in written
    for secret in (phone.number, SECRET, *codes.values(), f"o-{phone.number}"):
        assert secret not in written
