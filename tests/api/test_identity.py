"""This organisation's word for a key: by a code to the number in its own roll, by a document; never on a mere claim."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from server.api import identity
from server.api.privacy import NOTICES
from server.domain.genesis_rows import trust_of
from server.domain.member import Attestation, is_attested
from server.record.signature import DeviceSigner
from tests.api.running import ME, Site, running_site

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROSTER = """幢号,室号,业主姓名,证件类型,证件号码,手机号,建筑面积,产权份额
1,101,王小明,身份证,11010519491231002X,13800000001,80.00,1
1,102,李娜,身份证,440524188001010014,13800000002,90.00,1
"""


class SmsGateway:
    """A text message gateway, as the outside world: it keeps what it is told to send."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.sent.append(await request.json())
        return web.json_response({})

    async def code_for(self, phone: str) -> str:
        async with asyncio.timeout(5):
            while True:
                for message in reversed(self.sent):
                    if message["phone"] == phone:
                        return str(message["values"]["code"])
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[SmsGateway]:
    found = SmsGateway()
    app = web.Application()
    app.router.add_post("/send", found.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    found.url = f"http://{host}:{port}/send"
    yield found
    await runner.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(gateway: SmsGateway, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A node that sends codes, with a roll of two owners in use."""
    async with running_site(tmp_path_factory.mktemp("identity"), sms_url=gateway.url) as running:
        await running.import_roster(ROSTER)
        yield running


@pytest.fixture(autouse=True)
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause that hides what was found need not be waited for."""
    monkeypatch.setattr(identity, "SEND_S", 0.01)


def key_of(signer: DeviceSigner) -> dict[str, str]:
    return dict(msgspec.to_builtins(signer.public))


async def ask_code(site: Site, phone: str, name: str, room: str) -> tuple[int, Any]:
    body = {"phone": phone, "name": name, "room": room}
    status, _, answer = await site.ask("POST", "/api/v1/identity/phone-code", json=body)
    return status, answer


async def attest(site: Site, phone: str, code: str, signer: DeviceSigner) -> tuple[int, Any]:
    body = {"phone": phone, "code": code, "device_key": key_of(signer)}
    status, _, answer = await site.ask("POST", "/api/v1/identity/phone-attestation", json=body)
    return status, answer


async def test_code_to_the_phone_on_the_roll_attests_the_key(site: Site, gateway: SmsGateway) -> None:
    signer = DeviceSigner.generate()
    assert (await ask_code(site, "13800000001", "王小明", "1-101"))[0] == 202
    code = await gateway.code_for("13800000001")
    status, attested = await attest(site, "13800000001", code, signer)
    assert status == 200
    trust = trust_of(site.node.genesis, site.node.cluster_id)
    word = msgspec.convert(attested["attestation"], Attestation)
    assert is_attested(trust, word, attested["member"], signer.kid)
    assert (word.node, word.evidence) == (ME, "phone")
    assert attested["member"] == await site.node.people.member_of_phone("13800000001")
    again, problem = await attest(site, "13800000001", code, signer)
    assert (again, problem["code"]) == (401, "evidence_mismatch")


async def test_answer_is_the_same_whether_or_not_somebody_was_found(site: Site, gateway: SmsGateway) -> None:
    before = len(gateway.sent)
    answers = [
        await ask_code(site, "13800000009", "王小明", "1-101"),
        await ask_code(site, "13800000002", "王小明", "1-102"),
        await ask_code(site, "13800000002", "李娜", "9-999"),
    ]
    assert [(status, sorted(answer)) for status, answer in answers] == [(202, ["expires_ms"])] * 3
    await site.node.finish()
    assert len(gateway.sent) == before


async def test_five_wrong_codes_a_day_are_enough(site: Site) -> None:
    signer = DeviceSigner.generate()
    statuses = [(await attest(site, "13800000077", "000000", signer))[0] for _ in range(7)]
    assert statuses == [401] * 5 + [429] * 2


async def test_five_codes_a_day_for_a_home_are_enough_whoever_asks(site: Site) -> None:
    rooms = ["7-707", "7－707", "7 707", "7-707室", "７-707", "7-707", "7/707"]
    statuses = [(await ask_code(site, f"1390000000{number}", "某人", room))[0] for number, room in enumerate(rooms)]
    assert statuses == [202] * 5 + [429] * 2


@pytest.mark.parametrize(
    "change",
    [
        {"phone": "12345"},
        {"phone": "13800000001\n"},
        {"phone": "+8613800000001"},
        {"name": ""},
        {"name": "a\u0000b"},
        {"name": "x" * 61},
        {"room": "1\n101"},
        {"extra": "1"},
    ],
)
async def test_malformed_claims_are_refused(site: Site, change: dict[str, str]) -> None:
    body = {"phone": "13800000001", "name": "王小明", "room": "1-101", **change}
    status, _, problem = await site.ask("POST", "/api/v1/identity/phone-code", json=body)
    assert (status, problem["code"]) == (400, "malformed")


async def test_key_that_is_no_point_of_the_curve_is_malformed(site: Site) -> None:
    key = {"crv": "P-256", "kty": "EC", "x": "A" * 43, "y": "A" * 43}
    body = {"phone": "13800000001", "code": "123456", "device_key": key}
    status, _, problem = await site.ask("POST", "/api/v1/identity/phone-attestation", json=body)
    assert (status, problem["code"]) == (400, "malformed")


async def test_added_person_signs_in_by_a_code_to_the_number_that_the_officer_entered(
    site: Site, gateway: SmsGateway
) -> None:
    typed = {"name": "周倩", "document_kind": "resident_card", "document_number": "110101199003078515"}
    added = await site.officer.call("POST", "/api/v1/people/added", json={**typed, "phone": "137 0000 0001"})
    before = len(gateway.sent)
    wrong = (("13700000001", "周茜", ""), ("13700000009", "周倩", ""), ("13700000001", "周倩", "1-101"))
    for phone, name, room in wrong:
        assert (await ask_code(site, phone, name, room))[0] == 202
    assert (await ask_code(site, "13800000002", "李娜", ""))[0] == 202
    await site.node.finish()
    assert len(gateway.sent) == before, "an owner must name his home, a stranger is none"
    signer = DeviceSigner.generate()
    assert (await ask_code(site, "13700000001", "周倩", ""))[0] == 202
    status, attested = await attest(site, "13700000001", await gateway.code_for("13700000001"), signer)
    assert (status, attested["member"], attested["attestation"]["evidence"]) == (200, added["member"], "phone")
    await site.officer.call("DELETE", f"/api/v1/people/added/{added['member']}")
    sent = len(gateway.sent)
    assert (await ask_code(site, "13700000001", "周倩", ""))[0] == 202
    await site.node.finish()
    assert len(gateway.sent) == sent, "who was removed is a stranger"


async def test_five_codes_a_day_for_a_name_without_a_home_are_enough(site: Site) -> None:
    names = ["阿  华", "阿华", "阿华 ", "阿 华", "阿华", "阿华"]
    statuses = [(await ask_code(site, f"1391000000{number}", name, ""))[0] for number, name in enumerate(names)]
    assert statuses == [202] * 5 + [429]
    assert (await ask_code(site, "13910000009", "阿明", ""))[0] == 202, "others are not locked out with him"


async def test_staff_of_this_organisation_attest_what_they_saw(site: Site) -> None:
    clerk = await site.bind("i-clerk")
    await site.grant("i-clerk", "staff")
    found = (await clerk.call("GET", "/api/v1/people?query=李娜"))["items"]
    assert [(person["name"], person["rooms"], person["phone_tail"]) for person in found] == [
        ("李娜", ["1-102"], "0002")
    ]
    signer = DeviceSigner.generate()
    body = {"member": found[0]["member"], "device_key": key_of(signer)}
    attested = await clerk.call("POST", "/api/v1/identity/document-attestation", json=body)
    assert attested["attestation"]["evidence"] == "document"
    body["member"] = "m-nobody"
    headers = {"Authorization": f"Bearer {clerk.tokens[site.url]}"}
    status, _, problem = await site.ask("POST", "/api/v1/identity/document-attestation", json=body, headers=headers)
    assert (status, problem["code"]) == (404, "person_unknown")


async def test_owner_sees_his_name_and_homes_in_his_session(site: Site) -> None:
    member = await site.node.people.member_of_phone("13800000002")
    assert member is not None
    owner = await site.bind(member)
    info = await owner.call("GET", "/api/v1/session")
    assert (info["name"], [(unit["label"], unit["area_cm2"]) for unit in info["units"]]) == (
        "李娜",
        [("1-102", 900_000)],
    )
    assert info["roles"] == ["resident"]


async def test_nothing_personal_is_logged(
    site: Site, gateway: SmsGateway, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clerk = await site.bind("i-clerk-2")
    await site.grant("i-clerk-2", "staff")
    await ask_code(site, "13800000002", "李娜", "1-102")
    code = await gateway.code_for("13800000002")
    await attest(site, "13800000002", code, DeviceSigner.generate())
    await clerk.call("GET", "/api/v1/people?query=李娜")
    await site.node.finish()
    captured = capsys.readouterr()
    written = captured.out + captured.err + caplog.text
    assert "phone_code_sent" in written
    for secret in ("13800000002", "李娜", "1-102", code):
        assert secret not in written


async def test_wechat_is_off_where_no_app_is_configured(site: Site) -> None:
    body = {"login_code": "a", "phone_code": "b", "device_key": key_of(DeviceSigner.generate())}
    status, _, problem = await site.ask("POST", "/api/v1/identity/wechat-attestation", json=body)
    assert (status, problem["code"]) == (503, "wechat_off")


async def test_estate_gives_all_that_a_phone_checks(site: Site) -> None:
    _, _, estate = await site.ask("GET", "/api/v1/estate")
    assert estate["genesis_sha256"] == site.node.cluster_id.hex()
    assert estate["policy"] == site.node.policy_text
    assert [node["id"] for node in estate["nodes"]] == [ME]
    assert estate["privacy"]["version"] == NOTICES[-1].version
    async with site.http.get(f"{site.url}/genesis.json") as response:
        assert hashlib.sha256(await response.read()).hexdigest() == estate["genesis_sha256"]


async def test_every_version_of_the_privacy_notice_stays_readable(site: Site) -> None:
    for notice in NOTICES:
        status, _, answer = await site.ask("GET", f"/api/v1/privacy/{notice.version}")
        assert (status, answer) == (200, msgspec.to_builtins(notice))
    status, _, problem = await site.ask("GET", "/api/v1/privacy/999")
    assert (status, problem["code"]) == (404, "notice_unknown")
