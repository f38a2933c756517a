"""At the counter: a code on the phone, a clerk who saw the document, and a key that no clerk ever handled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from client import Person
from server.domain.genesis_rows import trust_of
from server.domain.member import Attestation, is_attested
from server.record.signature import DeviceSigner
from tests.api.running import ME, Site, running_site

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROSTER = """幢号,室号,业主姓名,证件类型,证件号码,手机号,建筑面积,产权份额
1,101,王小明,身份证,11010519491231002X,13800000001,80.00,1
1,102,李娜,身份证,440524188001010014,13800000002,90.00,1
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A node with a roll of two owners in use."""
    async with running_site(tmp_path_factory.mktemp("counter")) as running:
        await running.import_roster(ROSTER)
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clerk(site: Site) -> Person:
    """Staff of this organisation."""
    person = await site.bind("i-clerk")
    await site.grant("i-clerk", "staff")
    return person


async def begin(site: Site, signer: DeviceSigner) -> str:
    body = {"device_key": msgspec.to_builtins(signer.public)}
    status, _, answer = await site.ask("POST", "/api/v1/identity/counter", json=body)
    assert (status, len(answer["code"])) == (200, 8)
    return str(answer["code"])


async def look(site: Site, code: str) -> Any:
    return (await site.ask("GET", f"/api/v1/identity/counter/{code}"))[2]


async def attest(site: Site, caller: Person, code: str, member: str) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {caller.tokens[site.url]}"}
    path = f"/api/v1/identity/counter/{code}"
    status, _, answer = await site.ask("POST", path, json={"member": member}, headers=headers)
    return status, answer


async def member_of(site: Site, phone: str) -> str:
    found = await site.node.people.member_of_phone(phone)
    assert found is not None
    return found


async def test_phone_fetches_the_word_once_a_clerk_has_named_its_owner(site: Site, clerk: Person) -> None:
    signer, member = DeviceSigner.generate(), await member_of(site, "13800000001")
    code = await begin(site, signer)
    assert await look(site, code) == {"kid": signer.kid}
    assert await attest(site, clerk, code, member) == (200, {"member": member, "kid": signer.kid})
    attested = (await look(site, code))["attested"]
    word = msgspec.convert(attested["attestation"], Attestation)
    assert is_attested(trust_of(site.node.genesis, site.node.cluster_id), word, member, signer.kid)
    assert (word.node, word.evidence, attested["member"]) == (ME, "document", member)


async def test_second_tap_changes_nothing_and_another_person_is_refused(site: Site, clerk: Person) -> None:
    code = await begin(site, DeviceSigner.generate())
    first, second = await member_of(site, "13800000001"), await member_of(site, "13800000002")
    await attest(site, clerk, code, first)
    kept = await look(site, code)
    assert (await attest(site, clerk, code, first))[0] == 200
    assert (await attest(site, clerk, code, second))[1]["code"] == "counter_code_used"
    assert await look(site, code) == kept


async def test_only_staff_of_this_organisation_attest_and_nobody_himself(site: Site, clerk: Person) -> None:
    resident = await site.bind(await member_of(site, "13800000002"))
    code, member = await begin(site, DeviceSigner.generate()), await member_of(site, "13800000001")
    assert (await attest(site, resident, code, member))[1]["code"] == "role_needed"
    assert (await attest(site, clerk, code, "i-clerk"))[1]["code"] == "self_attestation"
    assert (await attest(site, clerk, code, "m-nobody"))[1]["code"] == "person_unknown"
    assert await look(site, code) == {"kid": (await look(site, code))["kid"]}
    assert (await attest(site, site.officer, code, member))[0] == 200


async def test_code_that_nobody_was_given_is_unknown(site: Site, clerk: Person) -> None:
    assert (await look(site, "00000000"))["code"] == "counter_code_unknown"
    status, problem = await attest(site, clerk, "00000000", "m-nobody")
    assert (status, problem["code"]) == (404, "counter_code_unknown")
    assert (await look(site, "0000000I"))["code"] == "malformed"


async def test_key_that_is_no_point_of_the_curve_gets_no_code(site: Site) -> None:
    body = {"device_key": {"crv": "P-256", "kty": "EC", "x": "A" * 43, "y": "A" * 43}}
    status, _, problem = await site.ask("POST", "/api/v1/identity/counter", json=body)
    assert (status, problem["code"]) == (400, "malformed")
